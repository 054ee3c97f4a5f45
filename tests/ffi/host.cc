// A fake evaluator behind plugin/abi.h: it throws, lies about lengths and is lazy, and checks that the core answers
// as the contract says: return at once, no further callback, one error, never a crash.
//
//   host CORE FOLDER       runs every case; prints one line per case; exit code 1 when one is broken
//
// FOLDER holds good.json, bad.json, feature.json, releases.json and file.bin (SHA-256 in hex in file.bin.sha256).
#include "../../plugin/abi.h"

#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>
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
    std::vector<crd_value> items = {};
    int64_t integer = 0;
};

struct crd_call
{
    std::vector<Fake> values;
    std::deque<std::string> texts;
    std::deque<std::vector<crd_attr>> sets;
    std::deque<std::vector<crd_value>> lists;
    std::function<void(crd_call &, const char * callback)> before = [](crd_call &, const char *) {};
    std::function<void(crd_text *)> lieText = [](crd_text *) {};
    std::function<void(crd_seen *)> lieSeen = [](crd_seen *) {};
    std::function<void(int32_t *)> lieFd = [](int32_t *) {};
    int32_t inStore = 0;
    size_t interrupts = 0;        // how often the core asked
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

static int fakeLook(crd_call * call, crd_value handle, crd_seen * seen)
{
    return guarded(call, "look", [&] {
        auto & value = force(call, handle);
        *seen = {};
        seen->kind = value.kind;
        switch (value.kind) {
        case CRD_BOOL:
        case CRD_INT: seen->as.integer = value.integer; break;
        case CRD_FLOAT: seen->as.number = 0.5; break;
        case CRD_STRING: {
            auto text = call->keep(value.text);
            seen->as.text = text.ptr;
            seen->count = text.len;
            seen->context = call->keep(value.context);
            break;
        }
        case CRD_LIST: {
            auto & kept = call->lists.emplace_back(value.items);
            seen->as.items = kept.data();
            seen->count = kept.size();
            break;
        }
        case CRD_ATTRS: {
            auto & kept = call->sets.emplace_back();
            for (auto & [name, attr] : value.attrs) kept.push_back({call->keep(name), attr});
            seen->as.attrs = kept.data();
            seen->count = kept.size();
            break;
        }
        }
        call->lieSeen(seen);
    });
}
static int fakePosition(crd_call * call, crd_value handle, crd_text * file, uint32_t * line, uint32_t * column)
{
    return guarded(call, "position", [&] {
        if (!handle) return;
        *file = call->keep("x.nix");
        *line = handle;
        *column = 7;
    });
}
static int fakePathName(crd_call * call, crd_value handle, crd_text * name)
{
    return guarded(call, "path_name", [&] { *name = call->keep(force(call, handle).text); });
}
static int fakeImport(crd_call * call, crd_value handle, crd_value * value)
{
    // The last value is what every Nix file holds.
    return guarded(call, "import", [&] { force(call, handle); *value = call->values.size() - 1; });
}
static int fakeReadFile(crd_call * call, crd_value handle, crd_text * bytes, crd_text * context)
{
    return guarded(call, "read_file", [&] {
        auto & value = force(call, handle);
        *bytes = call->keep(slurp(value.text));
        *context = call->keep(value.context);
    });
}
static int fakeOpenFile(crd_call * call, crd_value handle, int32_t * fd, int32_t * inStore)
{
    return guarded(call, "open_file", [&] {
        *fd = open(force(call, handle).text.c_str(), O_RDONLY | O_CLOEXEC);
        *inStore = call->inStore;
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
static int fakeCheckInterrupt(crd_call * call) { return guarded(call, "check_interrupt", [&] { call->interrupts++; }); }
static int fakeFail(crd_call * call, crd_error kind, crd_text message)
{
    if (call->parked) call->afterParked++;
    call->errors.emplace_back(message.ptr, message.len);
    call->kinds.push_back(kind);
    return CRD_FAILED;
}

static const crd_host fullHost = {
    fakeLook, fakePosition, fakePathName, fakeImport, fakeReadFile, fakeOpenFile, fakeBuild, fakeGive, fakeCheckInterrupt,
    fakeFail,
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
            // Handles 0 and 1; a builtin of one argument looks at the first alone, a constant at none.
            crd_value arguments[] = {0, 1};
            return core->builtins[i].function(&host, &call, core->builtins[i].arity ? arguments : nullptr);
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
// A release that is fine, and the shape it is of. The last value is the release.
static crd_call checkCall()
{
    crd_call call;
    call.values.push_back({CRD_STRING, "releasePackage", "", {}});
    call.values.push_back({CRD_ATTRS, "", "",
        {{"cudnnVersion", 2}, {"hash", 3}, {"maxCudaVersion", 4}, {"minCudaVersion", 5}, {"version", 6}}});
    call.values.push_back({CRD_NULL, "", "", {}});
    call.values.push_back({CRD_STRING, slurp(folder + "/file.bin.sha256"), "/nix/store/eeee-x", {}});
    call.values.push_back({CRD_STRING, "12.1", "", {}});
    call.values.push_back({CRD_STRING, "12.0", "", {}});
    call.values.push_back({CRD_STRING, "8.9.7.29", "", {}});
    return call;
}
// The same value by a shape of its own.
static crd_call composedCall()
{
    auto call = checkCall();
    call.values[0] = {CRD_ATTRS, "", "", {{"extends", 7}, {"fields", 8}}};
    call.values.push_back({CRD_STRING, "releasePackage", "", {}});
    call.values.push_back({CRD_ATTRS, "", "", {{"filename", 9}}});
    call.values.push_back({CRD_ATTRS, "", "", {{"optional", 10}}});
    call.values.push_back({CRD_STRING, "fileName", "", {}});
    return call;
}
// A release whose archives are by variant although it lists none: what it is instead is looked at, too.
static crd_call nestedCall()
{
    crd_call call;
    call.values.push_back({CRD_STRING, "redistribRelease", "", {}});
    call.values.push_back({CRD_ATTRS, "", "", {{"license", 2}, {"linux-sbsa", 3}, {"name", 2}, {"version", 5}}});
    call.values.push_back({CRD_STRING, "L", "", {}});
    call.values.push_back({CRD_ATTRS, "", "", {{"cuda12", 4}}});
    call.values.push_back({CRD_ATTRS, "", "", {{"size", 6}}});
    call.values.push_back({CRD_STRING, "1.2", "", {}});
    call.values.push_back({CRD_INT, "", "", {}});
    return call;
}
// A Nix file of releases: `{ releases.linux-sbsa = [ ]; }`.
static crd_call importCall()
{
    crd_call call;
    call.values.push_back({CRD_PATH, folder + "/releases.nix", "", {}});
    call.values.push_back({CRD_LIST, "", "", {}});
    call.values.push_back({CRD_ATTRS, "", "", {{"linux-sbsa", 1}}});
    call.values.push_back({CRD_ATTRS, "", "", {{"releases", 2}}});
    return call;
}
using Make = std::function<crd_call()>;

static void good(const char * builtin, Make make, const std::string & result)
{
    auto call = make();
    auto status = enter(builtin, call);
    report(status == CRD_OK && call.result == result && call.errors.empty(), std::string(builtin) + ": " + (call.errors.empty() ? call.result : call.errors[0]));
}

static std::set<std::string> thrown; // names of builtins, and of callbacks that threw

// Every callback throws in turn: the core returns at once and says nothing itself.
static void throwing(const char * builtin, Make make)
{
    thrown.insert(builtin);
    auto probe = make();
    enter(builtin, probe);
    for (size_t i = 1; i <= probe.callbacks; i++) {
        auto call = make();
        call.failAt = i;
        std::string last;
        call.before = [&](crd_call &, const char * name) { last = name; };
        auto status = enter(builtin, call);
        thrown.insert(last);
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
        bool named = builtin.arity <= 2;
        for (size_t j = 0; named && j < builtin.arity; j++) named = strlen(builtin.args[j]) > 0;
        report(named && strlen(builtin.doc) > 100, std::string(builtin.name) + " is documented");
    }

    Make read = [] { return readCall(); };
    good("readManifest", read, slurp(folder + "/good.result"));
    good("verifyFile", verifyCall, "given 1");
    good("check", checkCall, "given 1");
    good("check", composedCall, "given 1");
    good("problems", checkCall, "[]");
    good("readReleases", importCall, "given 3");
    good("problems", [] { auto call = checkCall(); call.values[6].text = "8.9"; return call; },
        "[{code='value' expected='a version of 4 parts such as `9.8.0.87`' found='`8.9`' hint=null "
        "message='x.nix:6:7: `version`: expected a version of 4 parts such as `9.8.0.87`, found `8.9`' path='version' "
        "position={column=7 file='x.nix' line=6} severity='error'}]");
    {
        crd_call call;
        auto status = enter("shapes", call);
        report(status == CRD_OK && call.result.find("cudaArch={doc=") != call.result.npos, "shapes: the table");
    }
    throwing("readManifest", read);
    throwing("verifyFile", verifyCall);
    throwing("check", composedCall);
    throwing("problems", [] { auto call = composedCall(); call.values[6].text = "8.9"; return call; });
    throwing("problems", nestedCall);
    throwing("readReleases", importCall);
    throwing("readFeatures", [] { return readCall("feature.json"); });
    throwing("readReleases", [] { return readCall("releases.json"); });
    throwing("shapes", [] { return crd_call(); });
    // Those of a refusal, too: each position that it shows.
    throwing("check", [] { auto call = checkCall(); call.values[6].text = "8.9"; call.values[5].text = "12.2"; return call; });
    throwing("check", [] { auto call = composedCall(); call.values[7].text = "releasePackages"; return call; });
    throwing("readReleases", [] { auto call = importCall(); call.values[1].kind = CRD_FUNCTION; return call; });
    throwing("readManifest", [] { return readCall("bad.json"); });
    throwing("verifyFile", [] {
        auto call = verifyCall();
        call.values[0].attrs.insert(call.values[0].attrs.end(), {{"md5", 3}, {"size", 4}});
        call.values.push_back({CRD_STRING, "d41d8cd98f00b204e9800998ecf8427e", "", {}});
        call.values.push_back({CRD_STRING, "0", "", {}});
        return call;
    });
    throwing("verifyFile", [] { auto call = verifyCall(); call.values[2].text = std::string(64, '0'); return call; });
    for (size_t i = 0; i < core->builtin_count; i++)
        report(thrown.count(core->builtins[i].name), std::string(core->builtins[i].name) + ": callbacks threw");
    for (auto name : {"look", "position", "path_name", "import", "read_file", "open_file", "build", "give", "check_interrupt"})
        report(thrown.count(name), std::string("`") + name + "` threw");
    refused("readManifest", "a wrong field", readCall("bad.json"), "bad.json:", CRD_REJECTED);

    // Answers that break the contract.
    const std::string bug = "bug in cuda-redist: ";
    for (auto & [builtin, make] : std::vector<std::pair<const char *, Make>>{{"readManifest", read}, {"verifyFile", verifyCall}, {"check", checkCall}}) {
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
        call.lieSeen = [=](crd_seen * seen) { seen->kind = kind; };
        refused("verifyFile", "kind " + std::to_string(kind), call, bug);
    }
    for (size_t count : {size_t(1), size_t(3), SIZE_MAX / 8, SIZE_MAX}) {
        auto call = verifyCall();
        call.lieSeen = [=](crd_seen * seen) { seen->as.attrs = nullptr; seen->count = count; };
        refused("verifyFile", "null attributes, count " + std::to_string(count), call, bug);
    }
    for (size_t count : {SIZE_MAX / 8, SIZE_MAX}) {
        auto call = verifyCall();
        call.lieSeen = [=](crd_seen * seen) { seen->count = count; };
        refused("verifyFile", "attributes, count " + std::to_string(count), call, bug);
    }
    {
        auto call = verifyCall();
        call.lieSeen = [](crd_seen * seen) { seen->as.text++; };
        refused("verifyFile", "attributes out of line", call, bug);
        call = verifyCall();
        call.lieSeen = [](crd_seen * seen) { if (seen->kind == CRD_ATTRS) seen->count = 1; };
        refused("verifyFile", "one attribute hidden", call, "`sha256`");
        call = verifyCall();
        call.lieSeen = [](crd_seen * seen) { seen->as.attrs = nullptr; seen->count = 0; };
        refused("verifyFile", "no attributes", call, "`path`");
        call = verifyCall();
        call.lieFd = [](int32_t * fd) { *fd = -1; };
        refused("verifyFile", "a negative descriptor", call, bug);
        call = verifyCall();
        call.lieFd = [](int32_t * fd) { *fd = open((folder + "/written").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600); };
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
        call = verifyCall();
        call.values[0].attrs.push_back({"hash", 2});
        refused("verifyFile", "two hashes", call, "`sha256` and `hash`");
        call = verifyCall();
        call.values[0].attrs.push_back({"size", 3});
        call.values.push_back({CRD_INT, "", "", {}, false, {}, 7});
        refused("verifyFile", "another size", call, "size mismatch", CRD_REJECTED);
        call.values[3].integer = -1;
        refused("verifyFile", "a negative size", call, "found the number -1");
        call = checkCall();
        call.values[5].text = "12.2";
        refused("check", "a wrong order", call, "x.nix:5:7: `minCudaVersion`: expected at most `maxCudaVersion`", CRD_REJECTED);
        call = checkCall();
        call.values[0].text = "releasePackages";
        refused("check", "a shape that is not in the table", call, "did you mean `releasePackage`");
        call = importCall();
        call.values[1].kind = CRD_FUNCTION;
        refused("readReleases", "a function", call, "x.nix:1:7: `releases.linux-sbsa`: expected a list, found a function", CRD_REJECTED);
        for (size_t count : {SIZE_MAX / 8, SIZE_MAX}) {
            call = importCall();
            call.lieSeen = [=](crd_seen * seen) { if (seen->kind == CRD_LIST) seen->count = count; };
            refused("readReleases", "items, count " + std::to_string(count), call, bug);
        }
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
        // A file in the store is read once, other files each time.
        auto once = [&](int32_t inStore, const char * what, bool again) {
            auto first = verifyCall();
            first.inStore = inStore;
            enter("verifyFile", first);
            auto second = verifyCall();
            second.inStore = inStore;
            auto status = enter("verifyFile", second);
            report(status == CRD_OK && first.interrupts && (second.interrupts > 0) == again, std::string("verifyFile: ") + what);
        };
        once(0, "a file outside of the store is read again", true);
        once(1, "a file in the store is not read again", false);
        call = nestedCall();
        refused("check", "variants that are not listed", call, "hint: is `cuda_variant` missing?", CRD_REJECTED);
        // What a shape does not name stays lazy, in the value and in the remarks of the shape.
        call = composedCall();
        call.values[0].attrs.insert(call.values[0].attrs.begin(), {"doc", 11});
        call.values.push_back({CRD_NULL, "", "", {}, true});
        auto status = enter("check", call);
        report(status == CRD_OK, "check: lazy remarks");
        // A wrong hash is found before the path is looked at.
        call = verifyCall();
        call.values[2].text = "x";
        call.values[1].throws = true;
        refused("verifyFile", "a lazy path", call, "found 1 character");
    }
    std::cout << (broken ? "broken\n" : "all ok\n");
    return broken ? 1 : 0;
}
