/* A CUDA program as a user writes one, compiled against the packages' headers and linked with the package's libcudart. */
#include <cuda_runtime_api.h>
#include <stdio.h>

int main(void) {
    int version = 0, devices = 0;
    cudaError_t error = cudaRuntimeGetVersion(&version);
    if (error != cudaSuccess || version != CUDART_VERSION) {
        printf("  expected runtime %d, found %d (%s)\n", CUDART_VERSION, version, cudaGetErrorString(error));
        return 1;
    }
    error = cudaGetDeviceCount(&devices);
    printf("  runtime %d.%d, headers the same; cudaGetDeviceCount: %s\n", version / 1000, version % 1000 / 10,
           cudaGetErrorString(error));
    return 0;
}
