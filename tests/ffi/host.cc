// A fake evaluator behind plugin/abi.h: it throws, lies about lengths and is lazy, and checks that the core answers
// as the contract says: return at once, no further callback, one error, never a crash.
//
//   host CORE FOLDER       runs every case; prints one line per case; exit code 1 when one is broken
//
// FOLDER holds good.json, bad.json and file.bin (SHA-256 in hex in file.bin.sha256).
#include "../../plugin/abi.h"

#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>

struct Fake
{
    int32_t kind;
    std::string text;
    std::string context;
    std::vector<std::pair<std::string, crd_value>> attrs;
    bool throws = false;
};

struct crd_call
{
    std::vector<Fake> values;
    std::deque<std::string> texts;
    std::deque<std::vector<crd_attr>> sets;
    std::function<void(crd_call &, const char * callback)> before = [](crd_call &, const char *) {};
    std::function<void(crd_text *)> lieText = [](crd_text *) {};
    std::function<void(int32_t *)> lieKind = [](int32_t *) {};
    std::function<void(const crd_attr **, size_t *)> lieAttrs = [](const crd_attr **, size_t *) {};
    std::function<void(int32_t *)> lieFd = [](int32_t *) {};
    int status = CRD_OK;          // what callbacks answer instead of CRD_OK
    std::string refused;          // the callback that has no table entry
    size_t callbacks = 0, failAt = 0;
    bool parked = false;          // an exception of the evaluator is held
    size_t afterParked = 0;       // callbacks made although one is held
    std::vector<std::string> errors;
    std::vector<crd_error> kinds;
    std::string result;

    crd_text keep(std::string text)
    {
        auto & kept = texts.emplace_back(std::move(text));
        crd_text view = {kept.data(), kept.size()};
        lieText(&view);
        return view;
    }
};

static int guarded(crd_call * call, const char * name, std::function<void()> body) noexcept
{
    try {
        if (call->parked) call->afterParked++;
        call->callbacks++;
        call->before(*call, name);
        if (call->callbacks == call->failAt) throw std::runtime_error("the evaluator threw");
        body();
        return call->status;
    } catch (...) {
        call->parked = true;
        return CRD_FAILED;
    }
}

static Fake & force(crd_call * call, crd_value handle)
{
    auto & value = call->values.at(handle);
    if (value.throws) throw std::runtime_error("forced what must stay lazy");
    return value;
}

static std::string slurp(const std::string & file)
{
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

static int fakeKind(crd_call * call, crd_value handle, int32_t * kind)
{
    return guarded(call, "kind", [&] { *kind = force(call, handle).kind; call->lieKind(kind); });
}
static int fakeString(crd_call * call, crd_value handle, crd_text * text, crd_text * context)
{
    return guarded(call, "string", [&] {
        auto & value = force(call, handle);
        if (value.kind != CRD_STRING) throw std::runtime_error("not a string");
        *text = call->keep(value.text);
        *context = call->keep(value.context);
    });
}
static int fakeAttrs(crd_call * call, crd_value handle, const crd_attr ** attrs, size_t * count)
{
    return guarded(call, "attrs", [&] {
        auto & kept = call->sets.emplace_back();
        for (auto & [name, value] : force(call, handle).attrs) kept.push_back({call->keep(name), value});
        *attrs = kept.data();
        *count = kept.size();
        call->lieAttrs(attrs, count);
    });
}
static int fakeReadFile(crd_call * call, crd_value handle, crd_text * bytes, crd_text * context, crd_text * name)
{
    return guarded(call, "read_file", [&] {
        auto & value = force(call, handle);
        *bytes = call->keep(slurp(value.text));
        *context = call->keep(value.context);
        *name = call->keep(value.text);
    });
}
static int fakeOpenFile(crd_call * call, crd_value handle, int32_t * fd, crd_text * name)
{
    return guarded(call, "open_file", [&] {
        auto & value = force(call, handle);
        *name = call->keep(value.text);
        *fd = open(value.text.c_str(), O_RDONLY | O_CLOEXEC);
        call->lieFd(fd);
    });
}
static void show(std::string & out, const crd_tape * tape, size_t & at, bool named)
{
    if (at >= tape->op_count) throw std::runtime_error("the tape ends inside a value");
    auto & op = tape->ops[at++];
    if (named) {
        if (op.key >= tape->key_count) throw std::runtime_error("a key outside the table");
        out += std::string(tape->keys[op.key].ptr, tape->keys[op.key].len) + "=";
    }
    switch (op.make) {
    case CRD_MAKE_NULL: out += "null"; break;
    case CRD_MAKE_BOOL: out += op.as.integer ? "true" : "false"; break;
    case CRD_MAKE_INT: out += std::to_string(op.as.integer); break;
    case CRD_MAKE_FLOAT: out += std::to_string(op.as.number); break;
    case CRD_MAKE_STRING: out += "'" + std::string(op.as.text, op.count) + "'"; break;
    case CRD_MAKE_LIST:
    case CRD_MAKE_ATTRS:
        out += op.make == CRD_MAKE_LIST ? "[" : "{";
        for (uint64_t i = 0; i < op.count; i++) { if (i) out += " "; show(out, tape, at, op.make == CRD_MAKE_ATTRS); }
        out += op.make == CRD_MAKE_LIST ? "]" : "}";
        break;
    default: throw std::runtime_error("an unknown operation");
    }
}
static int fakeBuild(crd_call * call, const crd_tape * tape)
{
    return guarded(call, "build", [&] {
        size_t at = 0;
        std::string out;
        show(out, tape, at, false);
        if (at != tape->op_count) throw std::runtime_error("the tape goes on");
        call->result = out;
    });
}
static int fakeGive(crd_call * call, crd_value handle)
{
    return guarded(call, "give", [&] { call->result = "given " + std::to_string(handle); });
}
static int fakeCheckInterrupt(crd_call * call) { return guarded(call, "check_interrupt", [] {}); }
static int fakeFail(crd_call * call, crd_error kind, crd_text message)
{
    if (call->parked) call->afterParked++;
    call->errors.emplace_back(message.ptr, message.len);
    call->kinds.push_back(kind);
    return CRD_FAILED;
}

static const crd_host fullHost = {
    fakeKind, fakeString, fakeAttrs, fakeReadFile, fakeOpenFile, fakeBuild, fakeGive, fakeCheckInterrupt, fakeFail,
};

static int broken = 0;

static void report(bool good, const std::string & line)
{
    std::cout << (good ? "ok " : "BROKEN ") << line << "\n";
    if (!good) broken++;
}

static const crd_core * core;
static std::string folder;

static int enter(const char * builtin, crd_call & call, const crd_host & host = fullHost)
{
    for (size_t i = 0; i < core->builtin_count; i++)
        if (!strcmp(core->builtins[i].name, builtin)) {
            crd_value argument = 0;
            return core->builtins[i].function(&host, &call, &argument);
        }
    throw std::runtime_error(std::string("the core has no ") + builtin);
}

// One good call of each builtin.
static crd_call readCall(const char * file = "good.json")
{
    crd_call call;
    call.values.push_back({CRD_PATH, folder + "/" + file, "", {}});
    return call;
}
static crd_call verifyCall()
{
    crd_call call;
    call.values.push_back({CRD_ATTRS, "", "", {{"path", 1}, {"sha256", 2}}});
    call.values.push_back({CRD_PATH, folder + "/file.bin", "", {}});
    call.values.push_back({CRD_STRING, slurp(folder + "/file.bin.sha256"), "", {}});
    return call;
}
using Make = std::function<crd_call()>;

static void good(const char * builtin, Make make, const std::string & result)
{
    auto call = make();
    auto status = enter(builtin, call);
    report(status == CRD_OK && call.result == result && call.errors.empty(), std::string(builtin) + ": " + (call.errors.empty() ? call.result : call.errors[0]));
}

// Every callback throws in turn: the core returns at once and says nothing itself.
static void throwing(const char * builtin, Make make)
{
    auto probe = make();
    enter(builtin, probe);
    for (size_t i = 1; i <= probe.callbacks; i++) {
        auto call = make();
        call.failAt = i;
        std::string last;
        call.before = [&](crd_call &, const char * name) { last = name; };
        auto status = enter(builtin, call);
        report(status == CRD_FAILED && call.callbacks == i && !call.afterParked && call.errors.empty() && call.result.empty(),
            std::string(builtin) + ": callback " + std::to_string(i) + " `" + last + "` throws");
    }
}

// The core ends with one error that holds `words`.
static void refused(const char * builtin, const std::string & what, crd_call call, const std::string & words, crd_error kind = CRD_FAULT, const crd_host & host = fullHost)
{
    auto status = enter(builtin, call, host);
    auto said = call.errors.empty() ? "no error" : call.errors[0];
    report(status == CRD_FAILED && call.errors.size() == 1 && call.kinds[0] == kind && call.result.empty() && said.find(words) != said.npos,
        std::string(builtin) + ": " + what + ": " + (said.find(words) != said.npos ? words : said));
}

int main(int argc, char ** argv)
{
    if (argc != 3) return 2;
    folder = argv[2];
    auto handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!handle) { std::cerr << dlerror() << "\n"; return 2; }
    auto describe = reinterpret_cast<decltype(&crd_core_describe)>(dlsym(handle, "crd_core_describe"));
    if (!describe) { std::cerr << dlerror() << "\n"; return 2; }
    core = describe();
    report(core->abi == CRD_ABI, "the ABI number is that of abi.h");
    for (size_t i = 0; i < core->builtin_count; i++) {
        auto & builtin = core->builtins[i];
        report(builtin.arity == 1 && strlen(builtin.args[0]) && strlen(builtin.doc) > 100, std::string(builtin.name) + " is documented");
    }

    Make read = [] { return readCall(); };
    good("readManifest", read, slurp(folder + "/good.result"));
    good("verifyFile", verifyCall, "given 1");
    throwing("readManifest", read);
    throwing("verifyFile", verifyCall);
    refused("readManifest", "a wrong field", readCall("bad.json"), "bad.json:", CRD_REJECTED);

    // Answers that break the contract.
    const std::string bug = "bug in cuda-redist: ";
    for (auto & [builtin, make] : std::vector<std::pair<const char *, Make>>{{"readManifest", read}, {"verifyFile", verifyCall}}) {
        auto call = make();
        call.status = 7;
        refused(builtin, "an unknown status", call, bug);
        call = make();
        call.lieText = [](crd_text * text) { *text = {nullptr, 5}; };
        refused(builtin, "a null text of 5 bytes", call, bug);
        call = make();
        call.lieText = [](crd_text * text) { text->len = SIZE_MAX; };
        refused(builtin, "a text of SIZE_MAX bytes", call, bug);
        call = make();
        call.lieText = [](crd_text * text) { text->len = size_t(1) << 63; };
        refused(builtin, "a text of 2^63 bytes", call, bug);
        crd_host none = {};
        none.fail = fakeFail;
        refused(builtin, "a host without callbacks", make(), bug, CRD_FAULT, none);
    }
    for (int32_t kind : {-1, 10, 99, INT32_MIN, INT32_MAX}) {
        auto call = verifyCall();
        call.lieKind = [=](int32_t * seen) { *seen = kind; };
        refused("verifyFile", "kind " + std::to_string(kind), call, bug);
    }
    for (size_t count : {size_t(1), size_t(3), SIZE_MAX / 8, SIZE_MAX}) {
        auto call = verifyCall();
        call.lieAttrs = [=](const crd_attr ** attrs, size_t * seen) { *attrs = nullptr; *seen = count; };
        refused("verifyFile", "null attributes, count " + std::to_string(count), call, bug);
    }
    for (size_t count : {SIZE_MAX / 8, SIZE_MAX}) {
        auto call = verifyCall();
        call.lieAttrs = [=](const crd_attr **, size_t * seen) { *seen = count; };
        refused("verifyFile", "attributes, count " + std::to_string(count), call, bug);
    }
    {
        auto call = verifyCall();
        call.lieAttrs = [](const crd_attr ** attrs, size_t *) { *attrs = reinterpret_cast<const crd_attr *>(reinterpret_cast<const char *>(*attrs) + 1); };
        refused("verifyFile", "attributes out of line", call, bug);
        call = verifyCall();
        call.lieAttrs = [](const crd_attr **, size_t * count) { *count = 1; };
        refused("verifyFile", "one attribute hidden", call, "`sha256`");
        call = verifyCall();
        call.lieAttrs = [](const crd_attr ** attrs, size_t * count) { *attrs = nullptr; *count = 0; };
        refused("verifyFile", "no attributes", call, "`path`");
        call = verifyCall();
        call.lieFd = [](int32_t * fd) { *fd = -1; };
        refused("verifyFile", "a negative descriptor", call, bug);
        call = verifyCall();
        call.lieFd = [](int32_t * fd) { *fd = open("/dev/null", O_WRONLY | O_CLOEXEC); };
        refused("verifyFile", "a descriptor that cannot be read", call, "cannot ");
        call = verifyCall();
        call.values[2].text = "\xff\xfe";
        refused("verifyFile", "a hash that is not UTF-8", call, "UTF-8");
        call = verifyCall();
        call.values[2].context = "/nix/store/eeee-x";
        refused("verifyFile", "a hash with context", call, "/nix/store/eeee-x");
        call = verifyCall();
        call.values[0].attrs[0].first = "p\xff";
        refused("verifyFile", "an attribute that is not UTF-8", call, "`path`");
        call = verifyCall();
        call.values[2].text = std::string(64, '0');
        refused("verifyFile", "another hash", call, "sha256 mismatch", CRD_REJECTED);
        call = readCall();
        call.values[0].context = "/nix/store/eeee-x";
        refused("readManifest", "content with context", call, "/nix/store/eeee-x");
    }
    {
        // Only what a rule names is forced: the set is wrong, so nothing in it is.
        auto call = verifyCall();
        call.values[0].attrs.push_back({"sha265", 1});
        call.values[1].throws = call.values[2].throws = true;
        refused("verifyFile", "lazy attributes", call, "did you mean `sha256`");
        // A wrong hash is found before the path is looked at.
        call = verifyCall();
        call.values[2].text = "x";
        call.values[1].throws = true;
        refused("verifyFile", "a lazy path", call, "found 1 character");
    }
    std::cout << (broken ? "broken\n" : "all ok\n");
    return broken ? 1 : 0;
}
