# Shared by the scripts here: sourced, never run. Goes to the project's root.
# shellcheck shell=bash
called_from=$PWD
script=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# path_given PATH: as an absolute path, read from where the script was called.
path_given() { (cd "$called_from" && realpath -m -- "$1"); }

# Prints the first comment block of the running script: its help.
usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$script"; }

# fail CODE MESSAGE HINT...: ends the script. The codes are those of the
# program: 2 usage, 3 wrong argument or missing part, 4 data and files.
fail() {
  local code=$1
  shift
  echo "error: $1" >&2
  shift
  (($# == 0)) || printf 'hint: %s\n' "$@" >&2
  exit "$code"
}

stage_names=()
stage_seconds=()

# stage NAME TIME COMMAND...: runs the command, and says what it is, how long it
# usually takes and how long it took.
stage() {
  local name=$1 expected=$2 start=$SECONDS
  shift 2
  printf '\n== %s (%s)\n' "$name" "$expected"
  "$@"
  stage_names+=("$name")
  stage_seconds+=($((SECONDS - start)))
  printf '   took %d s\n' $((SECONDS - start))
}

# One line per stage that ran, and the sum.
stage_table() {
  local i total=0
  for i in "${!stage_names[@]}"; do
    printf '%7d s  %s\n' "${stage_seconds[i]}" "${stage_names[i]}"
    total=$((total + stage_seconds[i]))
  done
  printf '%7d s  in all\n' "$total"
}

# Compile jobs: one per core, and 1.5 GB of memory for each, since a file that
# includes LibTorch takes up to 1.1 GB.
jobs_that_fit() {
  local cores by_memory
  cores=$(nproc)
  by_memory=$(awk '/^MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo)
  ((by_memory >= 1)) || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

# The Python tools of the project live in .venv and nowhere else.
make_venv() {
  [[ -x .venv/bin/pip ]] && return
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail 3 "python3 is $(python3 -V 2>&1), and 3.11 or newer is needed"
  python3 -m venv .venv ||
    fail 3 "python3 -m venv .venv did not work" \
      "Debian and Ubuntu: install the package python3-venv"
}

pip_install() {
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" ||
    fail 3 "pip could not install $*" "its message stands above"
}
