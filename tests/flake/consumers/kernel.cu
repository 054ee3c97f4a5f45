// Computes y = 3*x + y on the GPU. With --no-device it only says which runtime it was linked with.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

__global__ void saxpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}

int main(int argc, char **argv) {
    int version = 0;
    if (cudaRuntimeGetVersion(&version) != cudaSuccess || version != CUDART_VERSION) return 1;
    std::printf("runtime %d\n", version);
    if (argc > 1 && std::strcmp(argv[1], "--no-device") == 0) return 0;

    const int n = 1 << 20;
    float *x = nullptr, *y = nullptr;
    cudaError_t error = cudaMallocManaged(&x, n * sizeof *x);
    if (error == cudaSuccess) error = cudaMallocManaged(&y, n * sizeof *y);
    if (error == cudaSuccess) {
        for (int i = 0; i < n; i++) x[i] = 1.0f, y[i] = 2.0f;
        saxpy<<<(n + 255) / 256, 256>>>(3.0f, x, y, n);
        error = cudaDeviceSynchronize();
    }
    if (error != cudaSuccess) {
        std::fprintf(stderr, "kernel: %s\n", cudaGetErrorString(error));
        return 1;
    }
    for (int i = 0; i < n; i++) {
        if (y[i] != 5.0f) {
            std::fprintf(stderr, "kernel: y[%d]: expected 5, found %g\n", i, y[i]);
            return 1;
        }
    }
    std::puts("kernel: all right");
    return 0;
}
