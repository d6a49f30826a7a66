#!/usr/bin/env bash
# make demo: hashwood on 60,000 real pictures (Fashion-MNIST), from an empty folder to a comparison
# of the indexes, unattended. Leaves build/demo behind. HASHWOOD, DEMO_FOLDER
# and FASHION_MNIST (the folder with the data) name others.
set -euo pipefail
cd "$(dirname "$0")/.."

hashwood=${HASHWOOD:-build/hashwood}
folder=${DEMO_FOLDER:-build/demo}
db=$folder/fashion.hw
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
train=$data/train-images-idx3-ubyte.gz
labels=$data/train-labels-idx1-ubyte.gz
queries=$data/t10k-images-idx3-ubyte.gz
names="T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"

for file in "$train" "$labels" "$queries"; do
    [ -r "$file" ] || { echo "demo: $file is missing; install the Debian package dataset-fashion-mnist" >&2; exit 1; }
done

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# Shows a command as one would type it, then runs it.
show() {
    local words='' word
    for word in "$@"; do
        case $word in *[!a-zA-Z0-9/._:=,@%+-]*) word="'$word'" ;; esac
        words+=" $word"
    done
    printf '$ hashwood%s\n' "$words"
    "$hashwood" "$@"
}
filter() { printf '{"must":[{"key":"name","match":{"value":"%s"}}]}' "$1"; }

began=$SECONDS
rm -rf "$folder"
mkdir -p "$folder"
"$hashwood" version

say "1. Import 60,000 pictures of 28 x 28 pixels with their labels, and build the index"
show import "$db" fashion "$train" --labels "$labels" --label-names "$names" \
    --payload-index name:keyword --create --metric l2
"$hashwood" collections "$db"

say "2. Pictures the database has not seen, and their nearest neighbours in it"
echo "   the time told is mostly for opening the index, which each command does anew; step 6 times searches alone"
for row in 0 1 6 23; do
    show search "$db" fashion --file "$queries" --row "$row" -k 4 --draw 28x28 --caption name
done

say "3. Only sandals: what is nearest to the first picture, an ankle boot, among them?"
show search "$db" fashion --file "$queries" --row 0 -k 4 --filter "$(filter Sandal)" \
    --draw 28x28 --caption name

say "4. An update and a delete are seen at once, by the index too"
show search "$db" fashion --file "$queries" --row 0 -k 3
mapfile -t nearest < <("$hashwood" search "$db" fashion --file "$queries" --row 0 -k 2 --with none --json |
    grep -o '"id":[0-9]*' | cut -d: -f2)
show update "$db" fashion "${nearest[0]}" --set '{"name":"My favourite boot"}'
show delete "$db" fashion "${nearest[1]}"
show search "$db" fashion --file "$queries" --row 0 -k 3

say "5. How an answer was found"
show search "$db" fashion --file "$queries" --row 0 -k 3 --filter "$(filter Sneaker)" --explain

say "6. The same 60,000 pictures with each kind of index, one thread, 1,000 queries, recall@10 of 0.95 asked"
echo "   flat compares everything; kdtree and lsh are the two halves of hybrid; a pass ends after 4 s"
show bench --base "$train" --queries "$queries" --query-limit 1000 --metric l2 --recall 0.95 \
    --index flat --index kdtree --index lsh --index hybrid --passes 3 --pass-seconds 4

say "Done in $((SECONDS - began)) seconds. The database stays in $db. Try:"
cat <<TRY
  $hashwood serve $db    # then open http://127.0.0.1:6333/dashboard and click a picture
  $hashwood shell $db
  $hashwood search $db fashion --id 100 -k 5 --draw 28x28 --caption name
  $hashwood why $db fashion 500 --like 100
  $hashwood stats $db fashion
  $hashwood check $db
  $hashwood --help
TRY
