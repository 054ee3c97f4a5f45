/**
  The archives of nvprof for sbsa hold a licence and headers: outputs that nothing goes to must not be declared.

  Source: NVIDIA's archives, as the feature manifests of CUDA 11.4 to 12.8 list them.
*/
{ platform, ... }:
keys: if platform == "linux-sbsa" then { outputs = [ "out" ]; } else { }
