#!/bin/sh
# Run one night: snapshot, packages, check, report, prune. See docs/guides/every-night.md.
#
#     nightly.sh DEST OUT
#
# DEST is the dataset, a folder or the URL of a bucket. OUT is a folder for the report, the findings, the summaries and
# the metrics; it is created. Everything else is set by LEXPORT_ variables and lexport.toml.
#
# A step that fails does not hide another one: check and report always run, packages and prune only after a night that
# was published. The exit code is that of the worst step: a signal, then 5, 2, 1, 6, 3, 4.
set -u

if [ $# -ne 2 ] || [ -z "$1" ] || [ -z "$2" ]; then
  echo "usage: nightly.sh DEST OUT" >&2
  exit 2
fi
if [ -z "${LEXPORT_HASH_KEY:-}${LEXPORT_HASH_KEY_FILE:-}" ]; then
  echo "nightly: no hash key: set LEXPORT_HASH_KEY or LEXPORT_HASH_KEY_FILE to the same secret every night;" \
    "make it once with: openssl rand -base64 32" >&2
  exit 2
fi
dest=$1 out=$2
mkdir -p "$out" || exit 2

child='' stopped=0 worst=0 ended=''

stop() { # a shell passes no signal on by itself
  stopped=$1
  [ -z "$child" ] || kill -TERM "$child" 2> /dev/null
}
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

rank() { # how bad an exit code is
  case $1 in
    0) echo 0 ;;
    4) echo 1 ;; # the job worked: the fleet has findings
    3) echo 2 ;;
    6) echo 3 ;;
    1) echo 4 ;;
    2) echo 5 ;;
    5) echo 6 ;;
    *) echo 7 ;;
  esac
}

run() { # run one command of lexport and keep its exit code in $code
  [ "$stopped" -eq 0 ] || return
  lexport "$@" &
  child=$!
  [ "$stopped" -eq 0 ] || kill -TERM "$child" 2> /dev/null # the signal came before its number was known
  wait "$child"
  code=$?
  while kill -0 "$child" 2> /dev/null; do # a signal ends `wait` before the command has ended
    wait "$child"
    code=$?
  done
  child=''
  ended="$ended $1 $code,"
  [ "$(rank "$code")" -le "$(rank "$worst")" ] || worst=$code
}

run snapshot "$dest" --incremental --resume --resume-max-age 20h \
  --summary-file "$out/snapshot.json" --metrics-file "$out/snapshot.prom"
case ${code:-1} in 0 | 3) published=yes ;; *) published=no ;; esac

if [ $published = yes ]; then
  run packages "$dest" --inspect --summary-file "$out/packages.json" --metrics-file "$out/packages.prom"
fi
run check "$dest" --output sarif -o "$out/findings.sarif"
run report "$dest" -o "$out/report.html"
if [ $published = yes ]; then
  run prune "$dest"
fi

[ "$stopped" -eq 0 ] || worst=$stopped
echo "nightly:$ended exit code $worst" >&2
exit "$worst"
