/**
  SHA-256 hashes in the notation that manifests use.

  Non-goals: judging hashes, other algorithms. Nix has a function of its own for this since 2.19 only.
*/
let
  inherit (builtins)
    bitAnd
    concatStringsSep
    div
    elemAt
    genList
    head
    isString
    listToAttrs
    match
    stringLength
    substring
    typeOf
    ;

  _chars = text: genList (n: substring n 1 text) (stringLength text);

  # Each character of an alphabet to its number.
  _numbers =
    alphabet:
    let
      chars = _chars alphabet;
    in
    listToAttrs (
      genList (n: {
        name = elemAt chars n;
        value = n;
      }) (stringLength alphabet)
    );

  _base64 = _numbers "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  # Nix leaves out the letters e, o, t and u.
  _base32 = _numbers "0123456789abcdfghijklmnpqrsvwxyz";

  _hexDigits = _chars "0123456789abcdef";
  _hexByte = byte: elemAt _hexDigits (div byte 16) + elemAt _hexDigits (bitAnd byte 15);
  _hex = byteAt: concatStringsSep "" (genList (n: _hexByte (byteAt n)) 32);

  # Byte n lies in two of the characters, of 6 bits each, four of which hold three bytes.
  _fromBase64 =
    text:
    let
      numbers = map (char: _base64.${char}) (_chars text);
      byteAt =
        n:
        let
          first = div (n * 8) 6;
          used = n * 8 - first * 6;
          pair = elemAt numbers first * 64 + elemAt numbers (first + 1);
        in
        bitAnd (div pair (elemAt [ 16 4 1 ] (div used 2))) 255;
    in
    _hex byteAt;

  # The last character has the lowest bits: character n from the end has the bits from 5 * n of a number of which byte 0 is
  # the lowest.
  _fromBase32 =
    text:
    let
      numbers = map (char: _base32.${char}) (_chars text);
      last = stringLength text - 1;
      numberAt = n: if n > last then 0 else elemAt numbers (last - n);
      byteAt =
        n:
        let
          first = div (n * 8) 5;
          used = n * 8 - first * 5;
          triple = numberAt first + 32 * numberAt (first + 1) + 1024 * numberAt (first + 2);
        in
        bitAnd (div triple (elemAt [ 1 2 4 8 16 ] used)) 255;
    in
    _hex byteAt;

  # Nix takes it without padding, too.
  _sri = hash: match "sha256-([A-Za-z0-9+/]{43})=?" hash;
in
{
  /**
    The 64 hex digits of a SHA-256.

    # Inputs

    `hash`
    : A SHA-256 in any notation of Nix: SRI, hex, or Nix's base 32.

    # Type

    ```
    toHex :: String -> String
    ```

    # Examples

    ```nix
    toHex "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    => "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    ```

    # Laws

    - `toHex (toHex hash) == toHex hash`
  */
  toHex =
    hash:
    if !(isString hash) then
      throw "cudaRedist.lib.hashes.toHex: `hash`: expected a SHA-256, found a ${typeOf hash}"
    else if match "[0-9a-f]{64}" hash != null then
      hash
    else if _sri hash != null then
      _fromBase64 (head (_sri hash))
    else if match "[0-9a-df-np-sv-z]{52}" hash != null then
      _fromBase32 hash
    else
      throw ''
        cudaRedist.lib.hashes.toHex: `hash`: expected a SHA-256, found `${hash}`
        Potential solutions:
        - write it as SRI (`sha256-...`), hex or Nix's base 32; `cuda-redist hash FILE` prints all three'';
}
