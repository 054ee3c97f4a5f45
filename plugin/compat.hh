// All differences between Nix versions. NIX_MINOR is the minor version (8 for 2.8.0), NIX_VERSION the whole one.
// Known are 2.8 and 2.18 to 2.35; docs/plugin.md says which of them were run and which only compiled.
#pragma once

#if NIX_MINOR >= 28
#include "nix/expr/primops.hh"
#include "nix/expr/eval-inline.hh"
#include "nix/store/globals.hh"
#include "nix/store/store-api.hh"
#include "nix/util/signals.hh"
#else
#include <primops.hh>
#include <eval-inline.hh>
#include <globals.hh>
#include <store-api.hh>
#if NIX_MINOR == 19
#include <fs-input-accessor.hh>
#endif
#if NIX_MINOR >= 19
#include <signals.hh>
#else
#include <util.hh>
#endif
#endif

#if NIX_MINOR < 28 && !HAVE_BOEHMGC
#error "HAVE_BOEHMGC decides the layout of EvalState and must be what Nix was built with"
#endif

#if NIX_MINOR < 28 || NIX_USE_BOEHMGC
#include <gc/gc.h>
#endif

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace compat {

using namespace nix;

#if NIX_MINOR >= 18
using Position = PosIdx;
using PositionArg = const PosIdx;
#else
using Position = const Pos &;
using PositionArg = const Pos &;
#endif

#if NIX_MINOR >= 18
using Context = NixStringContext;
#else
using Context = PathSet;
#endif

// The first store path of a string's context, as text; empty when there is none.
inline std::string firstOf([[maybe_unused]] EvalState & state, const Context & context)
{
    if (context.empty()) return {};
#if NIX_MINOR >= 18
    auto element = context.begin()->to_string();
#else
    std::string element = *context.begin();
#endif
    // `!OUTPUT!PATH` is an output of a derivation, `=PATH` a derivation with all that it needs.
    auto path = element[0] == '=' ? element.substr(1) : element.substr(element.rfind('!') + 1);
#if NIX_MINOR >= 18
    path = state.store->storeDir + "/" + path;
#endif
    return path;
}

template<class E> [[noreturn]] void raiseAs([[maybe_unused]] EvalState & state, Position position, const std::string & message)
{
    // The text is an argument, never the format: it may hold `%`.
#if NIX_MINOR >= 21
    state.error<E>("%s", Uncolored(message)).atPos(position).debugThrow();
    __builtin_unreachable();
#elif NIX_MINOR >= 18
    throw E({.msg = hintfmt("%s", normaltxt(message)), .errPos = state.positions[position]});
#else
    throw E(ErrorInfo{.msg = hintfmt("%s", normaltxt(message)), .errPos = position});
#endif
}

inline std::string_view forceString(EvalState & state, Value & value, Context & context, Position position)
{
#if NIX_MINOR >= 18
    return state.forceString(value, context, position, "while evaluating an argument of a cudaRedist builtin");
#else
    return state.forceString(value, context, position);
#endif
}

inline void forceAttrs(EvalState & state, Value & value, Position position)
{
#if NIX_MINOR >= 18
    state.forceAttrs(value, position, "while evaluating an argument of a cudaRedist builtin");
#else
    state.forceAttrs(value, position);
#endif
}

// Where something was written, kept as Nix keeps it.
#if NIX_MINOR >= 18
using Place = PosIdx;
inline const Place nowhere = noPos;
#else
using Place = const Pos *;
inline const Place nowhere = &noPos;
#endif

inline bool isKnown(Place place)
{
#if NIX_MINOR >= 18
    return bool(place);
#else
    return bool(*place);
#endif
}

// Calls `use(file, line, column)` if it is known where.
template<class F> void atPlace([[maybe_unused]] EvalState & state, Place place, F use)
{
#if NIX_MINOR >= 18
    auto pos = state.positions[place];
    if (!pos.line) return;
    if (auto path = std::get_if<SourcePath>(&pos.origin)) use(path->to_string(), pos.line, pos.column);
#elif NIX_MINOR >= 18
    auto pos = state.positions[place];
    if (pos && pos.origin == foFile) use(std::string(pos.file), pos.line, pos.column);
#else
    if (*place && place->origin == foFile) use(std::string(place->file), place->line, place->column);
#endif
}

// Calls `use(name, value, place)` for each attribute of a forced set, in the order of the names.
template<class F> void eachAttr([[maybe_unused]] EvalState & state, Value & set, F use)
{
#if NIX_MINOR >= 22
    for (auto * attr : set.attrs()->lexicographicOrder(state.symbols))
        use(std::string_view(state.symbols[attr->name]), attr->value, Place(attr->pos));
#elif NIX_MINOR >= 18
    for (auto * attr : set.attrs->lexicographicOrder(state.symbols))
        use(std::string_view(state.symbols[attr->name]), attr->value, Place(attr->pos));
#else
    for (auto * attr : set.attrs->lexicographicOrder()) use(std::string_view(attr->name), attr->value, &*attr->pos);
#endif
}

// Calls `use(value)` for each element of a forced list.
template<class F> void eachElement(Value & list, F use)
{
#if NIX_MINOR >= 30
    for (auto element : list.listView()) use(element);
#else
    for (auto element : list.listItems()) use(element);
#endif
}

#if NIX_MINOR >= 25
inline int64_t integerOf(const Value & value) { return value.integer().value; }
#elif NIX_MINOR >= 22
inline int64_t integerOf(const Value & value) { return value.integer(); }
#else
inline int64_t integerOf(const Value & value) { return value.integer; }
#endif

#if NIX_MINOR >= 22
inline bool booleanOf(const Value & value) { return value.boolean(); }
inline double floatOf(const Value & value) { return value.fpoint(); }
#else
inline bool booleanOf(const Value & value) { return value.boolean; }
inline double floatOf(const Value & value) { return value.fpoint; }
#endif

inline void makeString([[maybe_unused]] EvalState & state, Value & value, std::string_view text)
{
#if NIX_MINOR >= 33
    value.mkString(text, state.mem);
#elif NIX_MINOR >= 18
    value.mkString(text);
#else
    if (text.empty()) return value.mkString("");
    auto copy = static_cast<char *>(GC_MALLOC_ATOMIC(text.size() + 1));
    if (!copy) throw std::bad_alloc();
    memcpy(copy, text.data(), text.size());
    copy[text.size()] = 0;
    value.mkString(copy);
#endif
}

// Gives the memory of a string back at once. Only for a string that nobody else has seen, not even in an error.
inline void dropString([[maybe_unused]] Value & value)
{
#if NIX_MINOR < 28 || (NIX_MINOR < 33 && NIX_USE_BOEHMGC)
#if NIX_MINOR >= 19
    auto text = const_cast<char *>(value.c_str());
#else
    auto text = const_cast<char *>(value.string.s);
#endif
    value.mkNull();
    // Not the literal that every empty string shares.
    if (GC_base(text) == text) GC_FREE(text);
#endif
}

// Makes `value` a list of `count` elements; `fill(element)` is called for each one in turn.
template<class F> void makeList(EvalState & state, Value & value, size_t count, F fill)
{
#if NIX_MINOR >= 22
    auto list = state.buildList(count);
    for (size_t i = 0; i < count; i++) {
        list[i] = state.allocValue();
        fill(*list[i]);
    }
    value.mkList(list);
#else
    state.mkList(value, count);
    // Null until filled: the collector and nobody else sees the list meanwhile.
    for (size_t i = 0; i < count; i++) {
        auto element = state.allocValue();
        value.listElems()[i] = element;
        fill(*element);
    }
#endif
}

// Makes `value` the result of applying `function` to `null` when it is first used.
inline void makeLazy(EvalState & state, Value & value, Value & function)
{
    auto nothing = state.allocValue();
    nothing->mkNull();
    value.mkApp(&function, nothing);
}

using Function = void (*)(EvalState &, PositionArg, Value **, Value &);

// A builtin as a value, for an attribute of `builtins.cudaRedist`. Lives for ever, like all of Nix's own.
inline void makeBuiltin([[maybe_unused]] EvalState & state, Value & value, const std::string & name, std::vector<std::string> args, const char * doc, Function function)
{
    auto arity = args.size();
#if NIX_MINOR >= 34
    value.mkPrimOp(new PrimOp{.name = name, .args = std::move(args), .arity = arity, .doc = doc, .impl = function});
#elif NIX_MINOR >= 18
    value.mkPrimOp(new PrimOp{.name = name, .args = std::move(args), .arity = arity, .doc = doc, .fun = function});
#elif NIX_MINOR >= 18
    value.mkPrimOp(new PrimOp{.fun = function, .arity = arity, .name = name, .args = std::move(args), .doc = doc});
#else
    value.mkPrimOp(new PrimOp{.fun = function, .arity = arity, .name = state.symbols.create(name), .args = std::move(args), .doc = doc});
#endif
}

// Adds the constant `builtins.cudaRedist`, made by `function` when it is first used.
inline void addConstant(const char * name, Function function)
{
#if NIX_MINOR >= 34
    static RegisterPrimOp registered({.name = name, .args = {}, .arity = 0, .impl = function});
#else
    static RegisterPrimOp registered({.name = name, .args = {}, .arity = 0, .fun = function});
#endif
}

// A file opened for reading; whoever holds `fd` closes it. Files in the store do not change.
struct Opened
{
    int fd;
    bool inStore;
};

// Not blocking: the core refuses a FIFO, nobody waits for it.
inline int openReal(const std::string & real)
{
    return open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

inline Opened opened(EvalState & state, const std::string & real, int fd)
{
    if (fd < 0) throw SysError("opening file '%1%'", real);
    return {fd, state.store->isInStore(real)};
}

// Opens the file that the user gave, once its context is built and the evaluator's access rules let it through.
#if NIX_MINOR >= 19
// A file that has no place of its own on this machine (an accessor may read it from anywhere) comes through an unnamed copy.
inline Opened openCopy(const SourcePath & path)
{
    auto file = std::tmpfile();
    if (!file) throw SysError("creating a temporary file");
    auto fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    std::fclose(file);
    if (fd < 0) throw SysError("duplicating a file descriptor");
    AutoCloseFD copy(fd);
    FdSink sink(copy.get());
    path.accessor->readFile(path.path, sink, [](uint64_t) {});
    sink.flush();
    if (lseek(copy.get(), 0, SEEK_SET) < 0) throw SysError("rewinding a temporary file");
    // Nothing of it may be remembered: another copy can have its inode.
    return {copy.release(), false};
}

// Where a path is on this machine, once the evaluator's access rules let it through; empty when it has no place.
inline std::string placeOf([[maybe_unused]] EvalState & state, const SourcePath & path)
{
    // From 2.23 on the accessor checks the access before it says where the file is.
    auto real = path.getPhysicalPath();
#if NIX_MINOR >= 21
    if (real) return real->string();
#else
    if (real) return std::string(real->abs());
#endif
#if NIX_MINOR < 23
    // Before, one that checks says nothing: any question to it is checked, and the root's paths are those of this machine.
    if (path.accessor == state.rootFS) {
        path.lstat();
        return std::string(path.path.abs());
    }
#endif
    return {};
}

inline Opened openFile(EvalState & state, Position position, Value & value)
{
#if NIX_MINOR >= 35
    auto path = state.realisePath(position, value, SymlinkResolution::Full, EvalState::CopyLazyPaths::Copy);
#elif NIX_MINOR >= 34
    auto path = state.realisePath(position, value, SymlinkResolution::Full);
#else
    Context context;
    auto path = state.coerceToPath(position, value, context, "while realising the context of a path");
    if (!context.empty() && path.accessor == state.rootFS) {
        auto rewrites = state.realiseContext(context);
#if NIX_MINOR >= 27
        path = {path.accessor, CanonPath(rewriteStrings(std::string(path.path.abs()), rewrites))};
#else
        path = {path.accessor, CanonPath(state.toRealPath(rewriteStrings(std::string(path.path.abs()), rewrites), context))};
#endif
    }
#if NIX_MINOR >= 20
    path = path.resolveSymlinks();
#else
    path = state.checkSourcePath(path);
#endif
#endif
    auto real = placeOf(state, path);
    if (real.empty()) return openCopy(path);
    auto fd = openReal(real);
    // Of several accessors the first one names a place, whether the file is there or another one has it. Who reads it knows.
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return openCopy(path);
    return opened(state, real, fd);
}
#elif NIX_MINOR >= 18
inline Opened openFile(EvalState & state, Position position, Value & value)
{
    Context context;
    auto path = state.coerceToPath(position, value, context, "while realising the context of a path");
    auto rewrites = state.realiseContext(context);
    auto real = state.rootPath(CanonPath(state.toRealPath(rewriteStrings(std::string(path.path.abs()), rewrites), context)));
    auto place = std::string(state.checkSourcePath(real).path.abs());
    return opened(state, place, openReal(place));
}
#else
inline Opened openFile(EvalState & state, Position position, Value & value)
{
    Context context;
    auto path = state.coerceToPath(position, value, context);
    auto rewrites = state.realiseContext(context);
    auto place = state.checkSourcePath(state.toRealPath(rewriteStrings(path, rewrites), context));
    return opened(state, place, openReal(place));
}
#endif

// The path that the user gave, as messages show it. Reads nothing.
inline std::string pathName(EvalState & state, Position position, Value & value)
{
    Context context;
#if NIX_MINOR >= 18
    return state.coerceToPath(position, value, context, "while evaluating the path given to a cudaRedist builtin").path.abs();
#else
    return state.coerceToPath(position, value, context);
#endif
}

}
