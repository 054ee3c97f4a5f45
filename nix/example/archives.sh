# Writes the archives of the example: archives.sh DIRECTORY
#
# Byte by byte, so that any shell makes the same files and the hashes in manifests/ hold: the tar programs of this world
# differ. POSIX, with `od` and nothing else from outside.
set -eu

# Octal escapes are all that every printf can write. byte NUMBER; le BYTES NUMBER, little-endian
byte() { printf "\\$(printf '%03o' "$1")"; }
le() {
  _left=$1 _number=$2
  while [ "$_left" -gt 0 ]; do
    byte $((_number & 255))
    _number=$((_number >> 8)) _left=$((_left - 1))
  done
}
zeros() { _zeros=$1; while [ "$_zeros" -gt 0 ]; do printf '\000'; _zeros=$((_zeros - 1)); done; }

# The smallest thing that a dynamic loader takes for a library: library MACHINE SONAME [NEEDED]
# One segment has it all: the headers, an empty hash table, one empty symbol, the dynamic section, and its strings at the end.
library() {
  machine=$1 soname=$2 needed=${3:-}
  strings=$((232 + 16 + 24 + 9 * 16))
  strings_bytes=$((1 + ${#soname} + 1 + ${#needed} + 1))
  total=$((strings + strings_bytes))

  printf '\177ELF\002\001\001'
  zeros 9
  le 2 3; le 2 "$machine"; le 4 1; le 8 0; le 8 64; le 8 0; le 4 0; le 2 64; le 2 56; le 2 3; le 2 64; le 2 0; le 2 0
  # PT_LOAD, PT_DYNAMIC, PT_GNU_STACK: type, flags, offset, two addresses, size in the file and in memory, alignment
  le 4 1; le 4 6; le 8 0; le 8 0; le 8 0; le 8 $total; le 8 $total; le 8 65536
  le 4 2; le 4 6; le 8 272; le 8 272; le 8 272; le 8 144; le 8 144; le 8 8
  le 4 1685382481; le 4 6; le 8 0; le 8 0; le 8 0; le 8 0; le 8 0; le 8 16
  le 4 1; le 4 1; le 4 0; le 4 0
  zeros 24
  le 8 14; le 8 1 # DT_SONAME
  if [ -n "$needed" ]; then le 8 1; le 8 $((2 + ${#soname})); fi # DT_NEEDED
  le 8 4; le 8 232 # DT_HASH
  le 8 6; le 8 248 # DT_SYMTAB
  le 8 11; le 8 24 # DT_SYMENT
  le 8 5; le 8 $strings # DT_STRTAB
  le 8 10; le 8 $strings_bytes # DT_STRSZ
  # Room for a RUNPATH, and the end.
  zeros 32
  if [ -z "$needed" ]; then zeros 16; fi
  printf '\000%s\000%s\000' "$soname" "$needed"
}

# One entry of a tar archive, in the format of POSIX: entry PATH TYPE MODE FILE; the content is FILE's, of a folder none
entry() {
  _size=$(wc -c <"$4")
  header "$1" "$2" "$3" "$_size" '        ' >"$work/header"
  _sum=0
  for _byte in $(od -An -v -tu1 "$work/header"); do _sum=$((_sum + _byte)); done
  header "$1" "$2" "$3" "$_size" "$(printf '%06o' $_sum)\\000 "
  cat "$4"
  zeros $(((512 - _size % 512) % 512))
}
header() {
  printf '%s' "$1"
  zeros $((100 - ${#1}))
  printf "%s\\0000000000\\0000000000\\000%011o\\00000000000001\\000$5%s" "$3" "$4" "$2"
  zeros 100
  printf 'ustar\00000'
  zeros 247
}

# pack NAME PATH...: an archive of files below $work/tree, with one folder on top as NVIDIA's have it
pack() {
  _top=$1
  shift
  : >"$work/empty"
  {
    for _path; do
      case $_path in
        */) entry "$_top/$_path" 5 0000755 "$work/empty" ;;
        *) entry "$_top/$_path" 0 0000644 "$work/tree/$_path" ;;
      esac
    done
    zeros 1024
  } >"$out/$_top.tar"
}

out=$1
work=$out/.work
mkdir -p "$work/tree/lib" "$work/tree/include"
echo 'This file may be used by anyone for anything.' >"$work/tree/LICENSE"
echo 'int exampleVersion(void);' >"$work/tree/include/example.h"
for platform in linux-x86_64:62 linux-sbsa:183; do
  machine=${platform#*:} platform=${platform%:*}
  library "$machine" libexample_base.so.1 >"$work/tree/lib/libexample_base.so.1"
  library "$machine" libexample.so.1 libexample_base.so.1 >"$work/tree/lib/libexample.so.1"
  pack "libexample_base-$platform-1.0.0-archive" LICENSE lib/ lib/libexample_base.so.1
  pack "libexample-$platform-1.0.0-archive" LICENSE include/ include/example.h lib/ lib/libexample.so.1
done
rm -r "$work"
