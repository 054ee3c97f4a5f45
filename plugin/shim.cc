// The plugin's part for one Nix version: Nix's evaluator behind the callbacks of abi.h. It decides nothing.
#include "abi.h"
#include "compat.hh"

#include <deque>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using nix::EvalState;
using nix::Value;

// One call of a builtin. Lives on the C stack, where the collector sees `result`; `values` roots the handles.
struct crd_call
{
    EvalState & state;
    compat::Position position;
    nix::ValueVector values;
    nix::ValueVector contents; // of files; garbage the moment the builtin returns, and most of what it allocates
    std::deque<std::string> texts;
    std::deque<std::vector<crd_attr>> sets;
    Value * result = nullptr;
    std::exception_ptr failure;

    crd_call(EvalState & state, compat::Position position) : state(state), position(position) { }
    crd_call(const crd_call &) = delete;
    crd_call & operator=(const crd_call &) = delete;

    ~crd_call()
    {
        for (auto content : contents) compat::dropString(*content);
    }

    Value & at(crd_value handle)
    {
        return *values.at(handle);
    }

    crd_value add(Value * value)
    {
        if (values.size() >= UINT32_MAX) throw std::length_error("too many values in one call");
        values.push_back(value);
        return static_cast<crd_value>(values.size() - 1);
    }

    crd_text keep(std::string text)
    {
        auto & kept = texts.emplace_back(std::move(text));
        return {kept.data(), kept.size()};
    }
};

namespace {

const crd_core * theCore;

// The wall of every callback: what is thrown inside is parked, never passed on into Rust.
template<class F> int guarded(crd_call * call, F body) noexcept
{
    try {
        body();
        return CRD_OK;
    } catch (...) {
        if (!call->failure) call->failure = std::current_exception();
        return CRD_FAILED;
    }
}

crd_kind kindOf(const Value & value)
{
    switch (value.type()) {
    case nix::nNull: return CRD_NULL;
    case nix::nBool: return CRD_BOOL;
    case nix::nInt: return CRD_INT;
    case nix::nFloat: return CRD_FLOAT;
    case nix::nString: return CRD_STRING;
    case nix::nPath: return CRD_PATH;
    case nix::nList: return CRD_LIST;
    case nix::nAttrs: return CRD_ATTRS;
    case nix::nFunction: return CRD_FUNCTION;
    case nix::nExternal: return CRD_EXTERNAL;
    default: throw std::logic_error("bug in cuda-redist: a forced value is still a thunk");
    }
}

int hostKind(crd_call * call, crd_value handle, int32_t * kind)
{
    return guarded(call, [&] {
        auto & value = call->at(handle);
        call->state.forceValue(value, call->position);
        *kind = kindOf(value);
    });
}

int hostString(crd_call * call, crd_value handle, crd_text * text, crd_text * context)
{
    return guarded(call, [&] {
        compat::Context found;
        auto view = compat::forceString(call->state, call->at(handle), found, call->position);
        *text = {view.data(), view.size()};
        *context = call->keep(compat::firstOf(found));
    });
}

int hostAttrs(crd_call * call, crd_value handle, const crd_attr ** attrs, size_t * count)
{
    return guarded(call, [&] {
        auto & set = call->at(handle);
        compat::forceAttrs(call->state, set, call->position);
        auto & kept = call->sets.emplace_back();
        compat::eachAttr(call->state, set, [&](std::string_view name, Value * value) {
            kept.push_back({{name.data(), name.size()}, call->add(value)});
        });
        *attrs = kept.data();
        *count = kept.size();
    });
}

int hostReadFile(crd_call * call, crd_value handle, crd_text * bytes, crd_text * context, crd_text * name)
{
    return guarded(call, [&] {
        auto & path = call->at(handle);
        *name = call->keep(compat::pathName(call->state, call->position, path));
        auto content = call->state.allocValue();
        call->state.callFunction(call->state.getBuiltin("readFile"), path, *content, call->position);
        call->contents.push_back(content);
        compat::Context found;
        auto view = compat::forceString(call->state, *content, found, call->position);
        *bytes = {view.data(), view.size()};
        *context = call->keep(compat::firstOf(found));
    });
}

int hostOpenFile(crd_call * call, crd_value handle, int32_t * fd, crd_text * name)
{
    return guarded(call, [&] {
        auto & path = call->at(handle);
        *name = call->keep(compat::pathName(call->state, call->position, path));
        auto real = compat::realisePath(call->state, call->position, path);
        // Not blocking, so that a FIFO is refused instead of waited for.
        nix::AutoCloseFD file(open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
        if (!file) throw nix::SysError("opening file '%1%'", real);
        struct stat status;
        if (fstat(file.get(), &status)) throw nix::SysError("getting status of '%1%'", real);
        if (!S_ISREG(status.st_mode))
            compat::raiseAs<nix::EvalError>(call->state, call->position,
                real + ": expected a regular file, found " + (S_ISDIR(status.st_mode) ? "a directory" : "a special file"));
        *fd = file.release();
    });
}

// Builds the value that starts at `op` in place. Recursion keeps what is half built on the C stack, where the
// collector finds it; the core bounds the depth. Advances `op` past the value.
void build(EvalState & state, const std::vector<nix::Symbol> & keys, const crd_op *& op, const crd_op * end, Value & value)
{
    if (op == end) throw std::out_of_range("bug in cuda-redist: the tape ends inside a value");
    auto & now = *op++;
    switch (now.make) {
    case CRD_MAKE_NULL: return value.mkNull();
    case CRD_MAKE_BOOL: return value.mkBool(now.as.integer != 0);
    case CRD_MAKE_INT: return value.mkInt(nix::NixInt(now.as.integer));
    case CRD_MAKE_FLOAT: return value.mkFloat(now.as.number);
    case CRD_MAKE_STRING: return compat::makeString(state, value, {now.as.text, now.count});
    case CRD_MAKE_LIST:
        return compat::makeList(state, value, now.count, [&](Value & element) { build(state, keys, op, end, element); });
    case CRD_MAKE_ATTRS: {
        auto attrs = state.buildBindings(now.count);
        for (uint64_t i = 0; i < now.count; i++) {
            if (op == end) throw std::out_of_range("bug in cuda-redist: the tape ends inside a set");
            auto attr = state.allocValue();
            attrs.insert(keys.at(op->key), attr);
            build(state, keys, op, end, *attr);
        }
        value.mkAttrs(attrs);
        return;
    }
    default: throw std::logic_error("bug in cuda-redist: the tape holds an unknown operation");
    }
}

int hostBuild(crd_call * call, const crd_tape * tape)
{
    return guarded(call, [&] {
        std::vector<nix::Symbol> keys;
        keys.reserve(tape->key_count);
        for (size_t i = 0; i < tape->key_count; i++)
            keys.push_back(call->state.symbols.create({tape->keys[i].ptr, tape->keys[i].len}));
        auto op = tape->ops;
        auto end = op + tape->op_count;
        auto value = call->state.allocValue();
        build(call->state, keys, op, end, *value);
        if (op != end) throw std::logic_error("bug in cuda-redist: the tape goes on after its value");
        call->result = value;
    });
}

int hostGive(crd_call * call, crd_value handle)
{
    return guarded(call, [&] {
        auto & value = call->at(handle);
        call->state.forceValue(value, call->position);
        call->result = &value;
    });
}

int hostCheckInterrupt(crd_call * call)
{
    return guarded(call, [] { nix::checkInterrupt(); });
}

int hostFail(crd_call * call, crd_error kind, crd_text message)
{
    guarded(call, [&] {
        std::string text(message.ptr, message.len);
        if (kind == CRD_REJECTED) compat::raiseAs<nix::ThrownError>(call->state, call->position, text);
        compat::raiseAs<nix::EvalError>(call->state, call->position, text);
    });
    return CRD_FAILED;
}

const crd_host theHost = {
    hostKind, hostString, hostAttrs, hostReadFile, hostOpenFile, hostBuild, hostGive, hostCheckInterrupt, hostFail,
};

void invoke(const crd_builtin & builtin, EvalState & state, compat::Position position, Value ** args, Value & result)
{
    crd_call call(state, position);
    std::vector<crd_value> handles;
    for (size_t i = 0; i < builtin.arity; i++) handles.push_back(call.add(args[i]));
    auto status = builtin.function(&theHost, &call, handles.data());
    if (call.failure) std::rethrow_exception(call.failure);
    if (status != CRD_OK || !call.result)
        compat::raiseAs<nix::EvalError>(state, position, "bug in cuda-redist: the builtin ended without a result and without an error");
    result = *call.result;
}

// Nix 2.8 takes plain function pointers, so every builtin has a function of its own, made from its index.
constexpr size_t maxBuiltins = 16;

template<size_t I> void enter(EvalState & state, compat::PositionArg position, Value ** args, Value & result)
{
    invoke(theCore->builtins[I], state, position, args, result);
}

template<size_t... I> compat::Function entry(size_t index, std::index_sequence<I...>)
{
    static const compat::Function entries[] = {&enter<I>...};
    return entries[index];
}

void makeCudaRedist(EvalState & state, compat::PositionArg, Value **, Value & result)
{
    auto attrs = state.buildBindings(theCore->builtin_count + 2);
    for (size_t i = 0; i < theCore->builtin_count; i++) {
        auto & builtin = theCore->builtins[i];
        compat::makeBuiltin(state, attrs.alloc(builtin.name), std::string("cudaRedist.") + builtin.name,
            {builtin.args, builtin.args + builtin.arity}, builtin.doc, entry(i, std::make_index_sequence<maxBuiltins>()));
    }
    compat::makeString(state, attrs.alloc("version"), theCore->version);
    compat::makeString(state, attrs.alloc("nixVersion"), NIX_VERSION);
    result.mkAttrs(attrs);
}

const char * addBuiltins(const crd_core * core)
{
    if (core->builtin_count > maxBuiltins) return "the core has more builtins than the shim can enter";
    theCore = core;
    compat::addConstant("__cudaRedist", makeCudaRedist);
    return nullptr;
}

}

extern "C" __attribute__((visibility("default"))) const crd_shim * crd_shim_describe()
{
    static const crd_shim shim = {CRD_ABI, NIX_VERSION, addBuiltins};
    return &shim;
}
