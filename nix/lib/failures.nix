/**
  What the `X.test.nix` files beside each family are made of: the list of cases that fail, `[ ]` when all is well.

  Non-goals: reporting, colours, exit codes. A test file is run by a bare
  `nix-instantiate --eval --strict nix/lib/X.test.nix`, and all of them by `nix/checks.nix`.

  # Inputs

  `family`
  : The attribute set under test, or the functions it is made of.

  `cases`
  : For each name in `family`, a list of `{ expr; expected; }`, or of `{ expr; throws = true; }` where forcing `expr`
    must fail. A name without a case is itself a failure, and so is a case for a name that does not exist.

  # Type

  ```
  failures :: { family :: AttrSet, cases :: AttrSet } -> [ String ]
  ```

  # Examples

  ```nix
  import ./failures.nix {
    family = { double = n: 2 * n; };
    cases.double = [ { expr = 2 * 2; expected = 5; } ];
  }
  => [ "double, case 1: expected 5, found 4" ]
  ```
*/
{ family, cases }:
let
  inherit (builtins)
    attrNames
    concatLists
    deepSeq
    genList
    elemAt
    length
    filter
    toJSON
    toString
    tryEval
    ;

  _check =
    name: index:
    let
      case = elemAt cases.${name} index;
      found = tryEval (deepSeq case.expr case.expr);
      place = "${name}, case ${toString (index + 1)}";
    in
    if case.throws or false then
      if found.success then [ "${place}: expected a throw, found ${toJSON found.value}" ] else [ ]
    else if !found.success then
      [ "${place}: expected ${toJSON case.expected}, found a throw" ]
    else if found.value != case.expected then
      [ "${place}: expected ${toJSON case.expected}, found ${toJSON found.value}" ]
    else
      [ ];

  _checkName =
    name:
    if !(family ? ${name}) then
      [ "${name}: expected a name of the family, found none" ]
    else
      concatLists (genList (_check name) (length cases.${name}));

  _untested = filter (name: !(cases ? ${name})) (attrNames family);
in
concatLists (map _checkName (attrNames cases))
++ map (name: "${name}: expected at least one case, found none") _untested
