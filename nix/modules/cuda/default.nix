/**
  The shapes of CUDA itself: manifests as all of NVIDIA's are.

  # Type

  ```
  { redistrib, feature :: Shape }
  ```
*/
{
  inherit (import ../generic/manifests)
    redistrib
    feature
    ;
}
