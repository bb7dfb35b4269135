# common.sh: what the scripts for people share; they read it after their head, before all else.

script=$(cd "$(dirname "$0")" && pwd)/${0##*/}
root=${script%/*/*}

# Prints the head of the script.
usage() { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p;}' "$script"; }
case ${1:-} in -h | --help) usage; exit ;; esac

# build PART [TARGET...]: one of the builds of test.sh, in build-PART, where it stays for the next time
build() {
  folder=build-$1
  case $1 in
    double) options=-Dreal=double ;;
    asan) options='-Db_sanitize=address,undefined -Dbuildtype=debugoptimized -Db_lundef=false' ;;
    tsan) options='-Db_sanitize=thread -Db_lundef=false' ;;
    *) options= ;;
  esac
  shift
  [ -f "$folder/build.ninja" ] || meson setup "$folder" -Dwerror=true -Dtests=enabled $options || return 1
  ninja -C "$folder" --quiet "$@"
}
