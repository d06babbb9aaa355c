#!/bin/sh
# Installs packages of Debian, as root or by sudo.
set -eu
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update -qq
$as_root apt-get install -y -qq "$@"
