# Run with `nix-instantiate --eval --strict nix/lib/hashes.test.nix`: `[ ]` when all is well.
let
  hashes = import ./hashes.nix;
  empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  fine = hash: expected: {
    expr = hashes.toHex hash;
    inherit expected;
  };
  refused = hash: {
    expr = hashes.toHex hash;
    throws = true;
  };
  zeros = "0000000000000000000000000000000000000000000000000000000000000000";
  ones = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
in
import ./failures.nix {
  family = hashes;
  cases.toHex = [
    (fine empty empty)
    (fine "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" empty)
    (fine "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU" empty)
    (fine "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73" empty)
    (fine "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" abc)
    (fine "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s" abc)
    (fine "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" zeros)
    (fine "sha256-//////////////////////////////////////////8=" ones)
    (fine "1zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz" ones)
    (refused "")
    (refused null)
    (refused "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF=")
    (refused "sha512-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    (refused "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")
    (refused "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c7e")
  ];
}
