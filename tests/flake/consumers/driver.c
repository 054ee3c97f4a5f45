/* Asks the driver itself for its version: linked against the stub, which must not be found when it runs. */
#include <cuda.h>

int main(void) {
    int version = 0;
    return cuDriverGetVersion(&version) != CUDA_SUCCESS || version == 0;
}
