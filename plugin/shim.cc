// The plugin's part for one Nix version: Nix's evaluator behind the callbacks of abi.h. It decides nothing.
#include "abi.h"
#include "compat.hh"

#include <deque>
#include <exception>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <utility>

using nix::EvalState;
using nix::Value;

// One call of a builtin. Lives on the C stack, where the collector sees `result`; `values` roots the handles.
struct crd_call
{
    EvalState & state;
    compat::Position position;
    nix::ValueVector values;
    std::vector<compat::Place> places; // of `values`
    std::unordered_map<crd_value, crd_seen> seen;
    nix::ValueVector contents; // of files; garbage the moment the builtin returns, and most of what it allocates
    std::deque<std::string> texts;
    std::deque<std::vector<crd_attr>> sets;
    std::deque<std::vector<crd_value>> lists;
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

    crd_value add(Value * value, compat::Place place = compat::nowhere)
    {
        if (values.size() >= UINT32_MAX) throw std::length_error("too many values in one call");
        values.push_back(value);
        places.push_back(place);
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

crd_seen look(crd_call * call, crd_value handle)
{
    auto & value = call->at(handle);
    call->state.forceValue(value, call->position);
    crd_seen seen = {};
    seen.kind = kindOf(value);
    switch (seen.kind) {
    case CRD_BOOL: seen.as.integer = compat::booleanOf(value); break;
    case CRD_INT: seen.as.integer = compat::integerOf(value); break;
    case CRD_FLOAT: seen.as.number = compat::floatOf(value); break;
    case CRD_STRING: {
        compat::Context context;
        auto text = compat::forceString(call->state, value, context, call->position);
        seen.as.text = text.data();
        seen.count = text.size();
        auto first = compat::firstOf(call->state, context);
        if (!first.empty()) seen.context = call->keep(std::move(first));
        break;
    }
    case CRD_LIST: {
        auto & kept = call->lists.emplace_back();
        auto place = call->places.at(handle);
        compat::eachElement(value, [&](Value * element) { kept.push_back(call->add(element, place)); });
        seen.as.items = kept.data();
        seen.count = kept.size();
        break;
    }
    case CRD_ATTRS: {
        auto & kept = call->sets.emplace_back();
        auto outer = call->places.at(handle);
        compat::eachAttr(call->state, value, [&](std::string_view name, Value * attr, compat::Place place) {
            kept.push_back({{name.data(), name.size()}, call->add(attr, compat::isKnown(place) ? place : outer)});
        });
        seen.as.attrs = kept.data();
        seen.count = kept.size();
        break;
    }
    }
    return seen;
}

int hostLook(crd_call * call, crd_value handle, crd_seen * seen)
{
    return guarded(call, [&] {
        // A list of millions, each of its elements a value already, would not ask otherwise.
        nix::checkInterrupt();
        auto known = call->seen.find(handle);
        *seen = known != call->seen.end() ? known->second : call->seen.emplace(handle, look(call, handle)).first->second;
    });
}

int hostPosition(crd_call * call, crd_value handle, crd_text * file, uint32_t * line, uint32_t * column)
{
    return guarded(call, [&] {
        compat::atPlace(call->state, call->places.at(handle), [&](std::string path, uint32_t l, uint32_t c) {
            *file = call->keep(std::move(path));
            *line = l;
            *column = c;
        });
    });
}

int hostPathName(crd_call * call, crd_value handle, crd_text * name)
{
    return guarded(call, [&] { *name = call->keep(compat::pathName(call->state, call->position, call->at(handle))); });
}

int hostImport(crd_call * call, crd_value handle, crd_value * value)
{
    return guarded(call, [&] {
        auto imported = call->state.allocValue();
        *value = call->add(imported);
        call->state.callFunction(call->state.getBuiltin("import"), call->at(handle), *imported, call->position);
    });
}

int hostReadFile(crd_call * call, crd_value handle, crd_text * bytes, crd_text * context)
{
    return guarded(call, [&] {
        auto & path = call->at(handle);
        auto content = call->state.allocValue();
        call->state.callFunction(call->state.getBuiltin("readFile"), path, *content, call->position);
        call->contents.push_back(content);
        compat::Context found;
        auto view = compat::forceString(call->state, *content, found, call->position);
        *bytes = {view.data(), view.size()};
        *context = call->keep(compat::firstOf(call->state, found));
    });
}

int hostOpenFile(crd_call * call, crd_value handle, int32_t * fd, int32_t * inStore)
{
    return guarded(call, [&] {
        auto opened = compat::openFile(call->state, call->position, call->at(handle));
        *fd = opened.fd;
        *inStore = opened.inStore;
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
    hostLook, hostPosition, hostPathName, hostImport, hostReadFile, hostOpenFile, hostBuild, hostGive, hostCheckInterrupt,
    hostFail,
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
        auto isConstant = builtin.arity == 0;
        auto & value = attrs.alloc(builtin.name);
        auto & function = isConstant ? *state.allocValue() : value;
        std::vector<std::string> args(builtin.args, builtin.args + builtin.arity);
        // No value is a function without arguments: a constant is one of `null`, applied when it is needed.
        if (isConstant) args.push_back("null");
        compat::makeBuiltin(state, function, std::string("cudaRedist.") + builtin.name, std::move(args), builtin.doc,
            entry(i, std::make_index_sequence<maxBuiltins>()));
        if (isConstant) compat::makeLazy(state, value, function);
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
    static const crd_shim shim = {CRD_ABI, NIX_VERSION, NIX_BUILD, addBuiltins};
    return &shim;
}
