// The part of the plugin that Nix opens. It uses no header and no symbol of Nix, so it loads into every
// Nix that can load plugins at all; it finds out which one that is and opens the shim built for exactly
// that one: the same version and the same build of libnixexpr. Nix's C++ interface changes between patch
// releases, and forks and rebuilds reuse version numbers: a foreign shim would load and crash later.
#include "abi.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <dirent.h>
#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

namespace {

const char advice[] = "run `make plugin` against this Nix, or take the plugin out of `plugin-files`";

using Error = std::runtime_error;

// A loaded object: the file it came from (empty for the main program) and what tells it from every other build.
struct Object
{
    std::string file;
    std::string build;
};

std::string baseName(const std::string & file)
{
    return file.substr(file.rfind('/') + 1);
}

std::string hex(const unsigned char * bytes, size_t count)
{
    std::string text;
    char digits[3];
    for (size_t i = 0; i < count; i++) {
        snprintf(digits, sizeof digits, "%02x", bytes[i]);
        text += digits;
    }
    return text;
}

// The GNU build id in a segment of notes; empty when it holds none. Names and descriptions are padded to 4 bytes.
std::string buildId(const unsigned char * notes, size_t size)
{
    auto padded = [](size_t length) { return (length + 3) & ~size_t(3); };
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, notes, sizeof note);
        size_t name = padded(note.n_namesz), description = padded(note.n_descsz);
        if (name > size - sizeof note || description > size - sizeof note - name) return {};
        auto text = notes + sizeof note;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(text, "GNU", 4) == 0)
            return hex(text + name, note.n_descsz);
        notes = text + name + description;
        size -= sizeof note + name + description;
    }
    return {};
}

// What stands for the build id where the linker wrote none: a hash of the first segment, which holds the symbol table
// and the relocations, so the layout of all code and data, and which nothing changes after it is mapped.
std::string fingerprint(const unsigned char * bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * 0x100000001b3;
        hash ^= hash >> 29;
    }
    for (; size > 0; bytes++, size--) hash = (hash ^ *bytes) * 0x100000001b3;
    char text[32];
    snprintf(text, sizeof text, "segment-%016" PRIx64, hash);
    return text;
}

std::string buildOf(const dl_phdr_info & info)
{
    const unsigned char * first = nullptr;
    size_t size = 0;
    for (size_t i = 0; i < info.dlpi_phnum; i++) {
        auto & segment = info.dlpi_phdr[i];
        auto bytes = reinterpret_cast<const unsigned char *>(info.dlpi_addr + segment.p_vaddr);
        if (segment.p_type == PT_NOTE) {
            auto id = buildId(bytes, segment.p_memsz);
            if (!id.empty()) return id;
        }
        if (segment.p_type == PT_LOAD && !first && !(segment.p_flags & PF_W)) {
            first = bytes;
            size = segment.p_filesz;
        }
    }
    return fingerprint(first, size);
}

// The first loaded object that `wanted` picks by its file and the addresses it covers.
template<class F> std::optional<Object> findObject(F wanted)
{
    struct Search
    {
        F & wanted;
        std::optional<Object> found;
    } search{wanted, {}};
    dl_iterate_phdr(
        [](dl_phdr_info * info, size_t, void * data) {
            auto & search = *static_cast<Search *>(data);
            std::string file = info->dlpi_name ? info->dlpi_name : "";
            if (!search.wanted(file, *info)) return 0;
            search.found = Object{file, buildOf(*info)};
            return 1;
        },
        &search);
    return search.found;
}

std::optional<Object> library(const std::string & name)
{
    return findObject([&](const std::string & file, const dl_phdr_info &) { return baseName(file).rfind(name, 0) == 0; });
}

std::optional<Object> objectOf(const void * address)
{
    auto wanted = reinterpret_cast<ElfW(Addr)>(address);
    return findObject([&](const std::string &, const dl_phdr_info & info) {
        return std::any_of(info.dlpi_phdr, info.dlpi_phdr + info.dlpi_phnum, [&](const ElfW(Phdr) & segment) {
            auto start = info.dlpi_addr + segment.p_vaddr;
            return segment.p_type == PT_LOAD && wanted >= start && wanted - start < segment.p_memsz;
        });
    });
}

// The version of the Nix that loads us, from `const std::string nix::nixVersion`; null when it exports no symbols.
const std::string * runningVersion()
{
    return static_cast<const std::string *>(dlsym(RTLD_DEFAULT, "_ZN3nix10nixVersionB5cxx11E"));
}

// What holds the evaluator of a Nix that exports symbols: libnixexpr, or a program that has all of it inside. Nothing in a
// program with Nix's other libraries alone, which evaluates nothing.
std::optional<Object> evaluator(const std::string * version)
{
    if (auto expr = library("libnixexpr.so")) return expr;
    if (library("libnixutil.so")) return {};
    return objectOf(version);
}

// Where this plugin is, as it was opened.
std::string ownFile()
{
    Dl_info info;
    if (!dladdr(reinterpret_cast<void *>(&ownFile), &info) || !info.dli_fname)
        throw Error("cuda-redist: cannot find the folder of the plugin: the dynamic loader does not know it");
    return info.dli_fname;
}

// The folder with one shim per Nix: `lib/nix/cuda-redist`, beside `lib/nix/plugins` where this file is.
// It is not inside that one, because Nix opens every entry of a folder that `plugin-files` names.
std::string shimFolder()
{
    auto file = ownFile();
    std::unique_ptr<char, decltype(&free)> real(realpath(file.c_str(), nullptr), &free);
    if (real) file = real.get();
    for (int i = 0; i < 2; i++) {
        auto slash = file.rfind('/');
        file = slash == std::string::npos ? "." : file.substr(0, slash);
    }
    return file + "/cuda-redist";
}

// What shims there are, as `VERSION-BUILD`: a build has no hyphen but in `segment-`.
struct Shim
{
    std::string version, build;
};

std::vector<Shim> shimsIn(const std::string & folder)
{
    std::vector<Shim> shims;
    if (DIR * dir = opendir(folder.c_str())) {
        while (dirent * entry = readdir(dir)) {
            std::string name = entry->d_name;
            if (name.size() <= 3 || name.compare(name.size() - 3, 3, ".so") != 0) continue;
            name.resize(name.size() - 3);
            auto segment = name.rfind("-segment-");
            auto hyphen = segment == std::string::npos ? name.rfind('-') : segment;
            if (hyphen != std::string::npos) shims.push_back({name.substr(0, hyphen), name.substr(hyphen + 1)});
        }
        closedir(dir);
    }
    return shims;
}

std::string joined(std::vector<std::string> names)
{
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::string text;
    for (auto & name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

// Why there is no shim for this Nix, and what to do.
std::string missing(const std::string & version, const std::string & build, const std::vector<Shim> & shims)
{
    std::vector<std::string> versions, builds;
    for (auto & shim : shims) {
        versions.push_back(shim.version);
        if (shim.version == version) builds.push_back(shim.build);
    }
    if (!builds.empty())
        return "cuda-redist: this is another build of Nix " + version + " (libnixexpr " + build
            + ") than the plugin was built for (" + joined(builds) + "); " + advice;
    return "cuda-redist: this is Nix " + version + ", the plugin was built for "
        + (versions.empty() ? "no Nix" : "Nix " + joined(versions)) + "; " + advice;
}

bool isPlain(const std::string & version)
{
    return !version.empty() && version[0] != '.'
        && std::all_of(version.begin(), version.end(), [](unsigned char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-'
                   || c == '+' || c == '_';
           });
}

// Opens the shim and lets it add the builtins. Throws one sentence: what is wrong and what to do.
void load()
{
    static bool done = false;
    if (done) return;
    auto version = runningVersion();
    if (!version)
        throw Error(
            "cuda-redist: this Nix exports no symbols, so no plugin can add builtins to it (it is probably linked "
            "statically); use a Nix that links libnixexpr.so, or take the plugin out of `plugin-files`");
    if (library("liblixexpr.so"))
        throw Error(
            "cuda-redist: this is Lix " + *version + ", for which there is no plugin; use Nix itself, or take the plugin out "
            "of `plugin-files`");
    auto nix = evaluator(version);
    if (!nix) return;
    auto folder = shimFolder();
    auto file = folder + "/" + *version + "-" + nix->build + ".so";
    if (!isPlain(*version) || access(file.c_str(), F_OK) != 0) throw Error(missing(*version, nix->build, shimsIn(folder)));
    void * handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        auto cause = dlerror();
        throw Error(
            "cuda-redist: cannot load the part built for Nix " + *version + ": " + (cause ? cause : "unknown cause") + "; "
            + advice);
    }
    auto describe = reinterpret_cast<crd_shim_describe_function>(dlsym(handle, "crd_shim_describe"));
    if (!describe) throw Error("cuda-redist: " + file + " is no part of this plugin; " + advice);
    auto shim = describe();
    auto core = crd_core_describe();
    if (shim->abi != core->abi)
        throw Error(
            "cuda-redist: " + file + " speaks version " + std::to_string(shim->abi) + " of the plugin's interface, the core "
            + std::to_string(core->abi) + "; " + advice);
    // A file may have been renamed.
    if (*version != shim->nix_version)
        throw Error("cuda-redist: " + file + " was built for Nix " + shim->nix_version + ", this is Nix " + *version + "; " + advice);
    if (nix->build != shim->nix_build)
        throw Error("cuda-redist: " + file + " was built for libnixexpr " + shim->nix_build + ", this is " + nix->build + "; " + advice);
    if (auto cause = shim->add_builtins(core)) throw Error(std::string("cuda-redist: ") + cause);
    done = true;
}

// Has the user asked to go on without the builtins where they cannot be added? In a way that every Nix understands: by
// the file that `plugin-files` names, or by the environment. (A setting of our own would need Nix's classes.)
bool isOptional()
{
    auto asked = getenv("CUDA_REDIST_OPTIONAL");
    return (asked && *asked && strcmp(asked, "0") != 0) || baseName(ownFile()) == "cuda-redist.optional.so";
}

void loadAsAsked()
{
    try {
        load();
    } catch (const Error & error) {
        if (!isOptional()) throw;
        fprintf(stderr, "warning: %s (going on without `builtins.cudaRedist`)\n", error.what());
        fflush(stderr);
    }
}

// Does this Nix call `nix_plugin_entry`? It does since 2.22.
bool callsEntry(const std::string & version)
{
    int major = 0, minor = 0;
    return sscanf(version.c_str(), "%d.%d", &major, &minor) == 2 && (major > 2 || minor >= 22);
}

// For scripts/build-shim: says which Nix this is, by the same look that picks the shim, and ends the program.
void identify()
{
    auto version = runningVersion();
    auto nix = version ? evaluator(version) : std::nullopt;
    if (nix) printf("%s %s %s\n", version->c_str(), nix->build.c_str(), nix->file.c_str());
    fflush(stdout);
    _exit(nix ? 0 : 1);
}

// Older ones only run constructors. No exception can leave a constructor that `dlopen` runs (glibc declares
// `dlopen` as not throwing: std::terminate), so say what is wrong and end the program.
__attribute__((constructor)) void loadFromConstructor()
{
    if (getenv("CUDA_REDIST_IDENTIFY")) identify();
    auto version = runningVersion();
    if (!version || callsEntry(*version)) return;
    try {
        loadAsAsked();
    } catch (const std::exception & error) {
        fprintf(stderr, "error: %s\n", error.what());
        fflush(stderr);
        _exit(1);
    }
}

}

// What `nix_plugin_entry` does. That symbol itself is exported by the Rust side (`ffi::nix_plugin_entry`): a
// cdylib exports Rust's symbols only, and the reference from there is what keeps this file in the link.
extern "C" void crd_loader_entry()
{
    loadAsAsked();
}
