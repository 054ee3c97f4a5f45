/* Loads each library named on the command line with the real dynamic loader and calls a harmless function of it, mostly the
 * one that tells its version. Prints one line per library; exit code 1 when one does not load or lacks its function. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static void *library;

static void *symbol(const char *name) {
    void *address = dlsym(library, name);
    if (!address) printf("no symbol %s", name);
    return address;
}

/* The shapes of NVIDIA's version functions. */
static int by_int(const char *name) { /* int f(int *version) */
    int (*f)(int *) = (int (*)(int *)) symbol(name), version = 0, rc;
    if (!f) return 0;
    rc = f(&version);
    printf("%s -> %d", name, version);
    return rc == 0 && version > 0;
}
static int by_two_ints(const char *name) { /* int f(int *major, int *minor) */
    int (*f)(int *, int *) = (int (*)(int *, int *)) symbol(name), major = 0, minor = -1, rc;
    if (!f) return 0;
    rc = f(&major, &minor);
    printf("%s -> %d.%d", name, major, minor);
    return rc == 0 && major > 0 && minor >= 0;
}
static int by_property(const char *name) { /* int f(libraryPropertyType, int *value): 0 major, 1 minor, 2 patch */
    int (*f)(int, int *) = (int (*)(int, int *)) symbol(name), value[3] = {0, -1, -1}, rc = 0, i;
    if (!f) return 0;
    for (i = 0; i < 3; i++) rc |= f(i, &value[i]);
    printf("%s -> %d.%d.%d", name, value[0], value[1], value[2]);
    return rc == 0 && value[0] > 0 && value[2] >= 0;
}
static int by_platforms(const char *name) { /* cl_int clGetPlatformIDs(cl_uint, cl_platform_id *, cl_uint *); -1001: no driver */
    int (*f)(unsigned, void *, unsigned *) = (int (*)(unsigned, void *, unsigned *)) symbol(name), rc;
    unsigned count = 0;
    if (!f) return 0;
    rc = f(0, NULL, &count);
    printf("%s -> %d, %u platforms", name, rc, count);
    return rc == 0 || rc == -1001;
}
static int by_mark(const char *name) { /* void nvtxMarkA(const char *) */
    void (*f)(const char *) = (void (*)(const char *)) symbol(name);
    if (!f) return 0;
    f("cuda-redist");
    printf("%s called", name);
    return 1;
}
static int by_loading(const char *name) {
    (void) name;
    printf("loaded");
    return 1;
}

static const struct probe {
    const char *soname_prefix;
    int (*call)(const char *function);
    const char *function;
} probes[] = {
    {"libcudart.so", by_int, "cudaRuntimeGetVersion"},
    {"libcufile.so", by_int, "cuFileGetVersion"},
    {"libnvJitLink.so", by_two_ints, "nvJitLinkVersion"},
    {"libnvfatbin.so", by_two_ints, "nvFatbinVersion"},
    {"libnvrtc.so", by_two_ints, "nvrtcVersion"},
    {"libnvjpeg.so", by_property, "nvjpegGetProperty"},
    {"libOpenCL.so", by_platforms, "clGetPlatformIDs"},
    {"libnvToolsExt.so", by_mark, "nvtxMarkA"},
    {"libnvtx3interop.so", by_mark, "nvtxMarkA"},
    {"", by_loading, ""},
};

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        const char *slash = strrchr(argv[i], '/'), *file = slash ? slash + 1 : argv[i];
        const struct probe *probe = probes;
        library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            printf("  %-28s FAILED: %s\n", file, dlerror());
            failed = 1;
            continue;
        }
        while (strncmp(file, probe->soname_prefix, strlen(probe->soname_prefix))) probe++;
        printf("  %-28s ", file);
        if (!probe->call(probe->function)) {
            printf(" FAILED");
            failed = 1;
        }
        printf("\n");
        fflush(stdout);
    }
    return failed;
}
