/* Says which versions of two libraries it was linked with. No device is needed for that. */
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <nvjpeg.h>
#include <stdio.h>

int main(void) {
    int runtime = 0, jpeg = 0;
    if (cudaRuntimeGetVersion(&runtime) != cudaSuccess || runtime != CUDART_VERSION) return 1;
    if (nvjpegGetProperty(MAJOR_VERSION, &jpeg) != NVJPEG_STATUS_SUCCESS || jpeg != NVJPEG_VER_MAJOR) return 1;
    printf("runtime %d, nvjpeg %d\n", runtime, jpeg);
    return 0;
}
