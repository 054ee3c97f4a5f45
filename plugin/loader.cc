// The part of the plugin that Nix opens. It uses no header and no symbol of Nix, so it loads into every
// Nix that can load plugins at all; it finds out which one that is and opens the shim built for exactly
// that version. Nix's C++ interface changes between patch releases: a foreign shim would load and crash later.
#include "abi.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <dirent.h>
#include <dlfcn.h>
#include <unistd.h>

namespace {

const char advice[] = "run `make plugin` against this Nix, or take the plugin out of `plugin-files`";

// The Nix that loads us, from `const std::string nix::nixVersion`; null when it exports no symbols.
const std::string * runningNix()
{
    return static_cast<const std::string *>(dlsym(RTLD_DEFAULT, "_ZN3nix10nixVersionB5cxx11E"));
}

// The folder with one shim per Nix version: `lib/nix/cuda-redist`, beside `lib/nix/plugins` where this file is.
// It is not inside that one, because Nix opens every entry of a folder that `plugin-files` names.
std::string shimFolder()
{
    Dl_info info;
    if (!dladdr(reinterpret_cast<void *>(&shimFolder), &info) || !info.dli_fname)
        throw std::runtime_error("cuda-redist: cannot find the folder of the plugin: the dynamic loader does not know it");
    std::unique_ptr<char, decltype(&free)> real(realpath(info.dli_fname, nullptr), &free);
    std::string file = real ? real.get() : info.dli_fname;
    for (int i = 0; i < 2; i++) {
        auto slash = file.rfind('/');
        file = slash == std::string::npos ? "." : file.substr(0, slash);
    }
    return file + "/cuda-redist";
}

// The versions that there are shims for, for the message.
std::string builtFor(const std::string & folder)
{
    std::vector<std::string> versions;
    if (DIR * dir = opendir(folder.c_str())) {
        while (dirent * entry = readdir(dir)) {
            std::string name = entry->d_name;
            if (name.size() > 3 && name.compare(name.size() - 3, 3, ".so") == 0)
                versions.push_back(name.substr(0, name.size() - 3));
        }
        closedir(dir);
    }
    std::sort(versions.begin(), versions.end());
    std::string text;
    for (auto & version : versions) text += (text.empty() ? "" : ", ") + version;
    return text.empty() ? "no Nix" : "Nix " + text;
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
    auto nix = runningNix();
    if (!nix)
        throw std::runtime_error(
            "cuda-redist: this Nix exports no symbols, so no plugin can add builtins to it (it is probably linked "
            "statically); use a Nix that links libnixexpr.so, or take the plugin out of `plugin-files`");
    auto folder = shimFolder();
    auto file = folder + "/" + *nix + ".so";
    if (!isPlain(*nix) || access(file.c_str(), F_OK) != 0)
        throw std::runtime_error(
            "cuda-redist: this is Nix " + *nix + ", the plugin was built for " + builtFor(folder) + "; " + advice);
    void * handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        auto cause = dlerror();
        throw std::runtime_error(
            "cuda-redist: cannot load the part built for Nix " + *nix + ": " + (cause ? cause : "unknown cause") + "; "
            + advice);
    }
    auto describe = reinterpret_cast<crd_shim_describe_function>(dlsym(handle, "crd_shim_describe"));
    if (!describe) throw std::runtime_error("cuda-redist: " + file + " is no part of this plugin; " + advice);
    auto shim = describe();
    auto core = crd_core_describe();
    if (shim->abi != core->abi)
        throw std::runtime_error(
            "cuda-redist: " + file + " speaks version " + std::to_string(shim->abi) + " of the plugin's interface, the core "
            + std::to_string(core->abi) + "; " + advice);
    if (*nix != shim->nix_version)
        throw std::runtime_error(
            "cuda-redist: " + file + " was built for Nix " + shim->nix_version + ", this is Nix " + *nix + "; " + advice);
    if (auto cause = shim->add_builtins(core)) throw std::runtime_error(std::string("cuda-redist: ") + cause);
    done = true;
}

// Does this Nix call `nix_plugin_entry`? It does since 2.22.
bool callsEntry(const std::string & version)
{
    int major = 0, minor = 0;
    return sscanf(version.c_str(), "%d.%d", &major, &minor) == 2 && (major > 2 || minor >= 22);
}

// Older ones only run constructors. No exception can leave a constructor that `dlopen` runs (glibc declares
// `dlopen` as not throwing: std::terminate), so say what is wrong and end the program.
__attribute__((constructor)) void loadFromConstructor()
{
    auto nix = runningNix();
    if (!nix || callsEntry(*nix)) return;
    try {
        load();
    } catch (std::exception & error) {
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
    load();
}
