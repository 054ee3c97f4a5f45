/* Computes y = a*x + y on the GPU: a kernel compiled by NVRTC, launched through the driver's interface, and cublasSaxpy where
 * WITH_CUBLAS is set. Linked against the packages' libraries alone; no CUDA header is needed. libcudart opens the driver
 * itself, so it is found the way the RUNPATH of the package's libcudart says.
 *
 * Usage: saxpy DRIVER_DIR [--no-device]    exit code 0 when every result is right and the driver came from DRIVER_DIR.
 * With --no-device everything up to the first use of a device: loading, compiling, and the search for the driver. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 20, BLOCK = 256 };

/* libcudart */
int cudaRuntimeGetVersion(int *version);
int cudaGetDeviceCount(int *count);
int cudaDeviceGetAttribute(int *value, int attribute, int device); /* 75 and 76: compute capability */
int cudaFree(void *memory);
int cudaMalloc(void **memory, size_t bytes);
int cudaMemcpy(void *to, const void *from, size_t bytes, int kind); /* 1: to the device, 2: from it */
int cudaDeviceSynchronize(void);

/* libnvrtc */
int nvrtcVersion(int *major, int *minor);
int nvrtcGetNumSupportedArchs(int *count);
int nvrtcGetSupportedArchs(int *architectures);
int nvrtcCreateProgram(void **program, const char *source, const char *name, int headers, const char *const *texts,
                       const char *const *names);
int nvrtcCompileProgram(void *program, int options, const char *const *option);
int nvrtcGetProgramLogSize(void *program, size_t *bytes);
int nvrtcGetProgramLog(void *program, char *log);
int nvrtcGetPTXSize(void *program, size_t *bytes);
int nvrtcGetPTX(void *program, char *ptx);

#ifdef WITH_CUBLAS
int cublasCreate_v2(void **handle);
int cublasGetVersion_v2(void *handle, int *version);
int cublasSaxpy_v2(void *handle, int n, const float *a, const float *x, int step_x, float *y, int step_y);
#endif

#define CHECK(call)                                                                    \
    do {                                                                               \
        int code_ = (call);                                                            \
        if (code_ != 0) {                                                              \
            fprintf(stderr, "saxpy: %s: expected code 0, found %d\n", #call, code_);   \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

static const char *const SOURCE =
    "extern \"C\" __global__ void saxpy(float a, const float *x, float *y, int n) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n) y[i] = a * x[i] + y[i];\n"
    "}\n";

/* The PTX of SOURCE for the newest virtual architecture that NVRTC knows and that is not above `capability`. */
static char *compile(int capability) {
    int count = 0, known[64], best = 0, i;
    void *program;
    size_t bytes;
    char option[40], *ptx;
    const char *options[1] = {option};
    CHECK(nvrtcGetNumSupportedArchs(&count));
    if (count < 1 || count > 64) {
        fprintf(stderr, "saxpy: expected 1 to 64 architectures, found %d\n", count);
        exit(1);
    }
    CHECK(nvrtcGetSupportedArchs(known));
    for (i = 0; i < count; i++)
        if (known[i] <= capability && known[i] > best) best = known[i];
    snprintf(option, sizeof option, "--gpu-architecture=compute_%d", best);
    CHECK(nvrtcCreateProgram(&program, SOURCE, "saxpy.cu", 0, NULL, NULL));
    if (nvrtcCompileProgram(program, 1, options) != 0) {
        CHECK(nvrtcGetProgramLogSize(program, &bytes));
        ptx = malloc(bytes + 1);
        if (ptx == NULL) exit(1);
        CHECK(nvrtcGetProgramLog(program, ptx));
        fprintf(stderr, "saxpy: cannot compile with %s: %s\n", option, ptx);
        exit(1);
    }
    CHECK(nvrtcGetPTXSize(program, &bytes));
    ptx = malloc(bytes + 1);
    if (ptx == NULL) exit(1);
    CHECK(nvrtcGetPTX(program, ptx));
    if (strstr(ptx, ".visible .entry saxpy") == NULL) {
        fprintf(stderr, "saxpy: expected the kernel in the PTX, found none\n");
        exit(1);
    }
    printf("compiled for compute_%d: %zu bytes of PTX\n", best, bytes);
    return ptx;
}

/* Is the loaded libcuda the one that was found in the folder `data`? */
static int is_from(struct dl_phdr_info *info, size_t size, void *data) {
    const char *dir = data;
    const char *name = strrchr(info->dlpi_name, '/');
    (void) size;
    if (name == NULL || strncmp(name, "/libcuda.so.", 12) != 0) return 0;
    printf("driver: %s\n", info->dlpi_name);
    return strncmp(info->dlpi_name, dir, strlen(dir)) == 0 && info->dlpi_name[strlen(dir)] == '/' ? 1 : -1;
}

static void *symbol(void *library, const char *name) {
    void *address = dlsym(library, name);
    if (address == NULL) {
        fprintf(stderr, "saxpy: the driver lacks %s\n", name);
        exit(1);
    }
    return address;
}

static void expect(const float *y, float a, const char *who) {
    int i;
    for (i = 0; i < SIZE; i++) {
        float right = a * (float) (i % 1000) + 1.0f;
        if (y[i] != right) {
            fprintf(stderr, "saxpy: %s: y[%d]: expected %g, found %g\n", who, i, right, y[i]);
            exit(1);
        }
    }
    printf("%s: %d results, all right\n", who, SIZE);
}

int main(int argc, char **argv) {
    int runtime = 0, major = 0, minor = 0, devices = 0, code, i, n = SIZE;
    char *ptx;
    void *driver, *module, *function, *x, *y;
    float a = 2.0f, *host = malloc(2 * SIZE * sizeof(float));
    const size_t bytes = SIZE * sizeof(float);
    if (argc < 2 || host == NULL) return 2;

    CHECK(cudaRuntimeGetVersion(&runtime));
    CHECK(nvrtcVersion(&major, &minor));
    printf("cudart %d, nvrtc %d.%d\n", runtime, major, minor);
    code = cudaGetDeviceCount(&devices);
    if (argc > 2 && strcmp(argv[2], "--no-device") == 0) {
        free(compile(90));
        printf("devices: code %d\n", code);
        return code == 0; /* a device where there should be none */
    }
    CHECK(code);
    CHECK(cudaDeviceGetAttribute(&major, 75, 0));
    CHECK(cudaDeviceGetAttribute(&minor, 76, 0));
    printf("devices: %d, the first of capability %d.%d\n", devices, major, minor);
    ptx = compile(10 * major + minor);

    CHECK(cudaFree(NULL)); /* makes the device's context */
    if (dl_iterate_phdr(is_from, argv[1]) != 1) {
        fprintf(stderr, "saxpy: expected the driver from %s\n", argv[1]);
        return 1;
    }
    driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (driver == NULL) return 1;

    for (i = 0; i < SIZE; i++) {
        host[i] = (float) (i % 1000);
        host[SIZE + i] = 1.0f;
    }
    CHECK(cudaMalloc(&x, bytes));
    CHECK(cudaMalloc(&y, bytes));
    CHECK(cudaMemcpy(x, host, bytes, 1));
    CHECK(cudaMemcpy(y, host + SIZE, bytes, 1));
    CHECK(((int (*)(void **, const void *)) symbol(driver, "cuModuleLoadData"))(&module, ptx));
    CHECK(((int (*)(void **, void *, const char *)) symbol(driver, "cuModuleGetFunction"))(&function, module, "saxpy"));
    {
        typedef int launch_t(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
                             void **);
        void *arguments[] = {&a, &x, &y, &n};
        launch_t *launch = (launch_t *) symbol(driver, "cuLaunchKernel");
        CHECK(launch(function, (SIZE + BLOCK - 1) / BLOCK, 1, 1, BLOCK, 1, 1, 0, NULL, arguments, NULL));
    }
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(host + SIZE, y, bytes, 2));
    expect(host + SIZE, 2.0f, "kernel");

#ifdef WITH_CUBLAS
    {
        void *handle;
        int version = 0;
        CHECK(cublasCreate_v2(&handle));
        CHECK(cublasGetVersion_v2(handle, &version));
        printf("cublas %d\n", version);
        CHECK(cublasSaxpy_v2(handle, SIZE, &a, x, 1, y, 1));
        CHECK(cudaDeviceSynchronize());
        CHECK(cudaMemcpy(host + SIZE, y, bytes, 2));
        expect(host + SIZE, 4.0f, "cublas");
    }
#endif
    free(ptx);
    free(host);
    return 0;
}
