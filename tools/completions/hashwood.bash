# bash completion for hashwood; written by `hashwood _docs`, do not edit
_hashwood() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local opts= collection=0
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W 'create collections describe drop import export embed put get update delete search why duplicates count scroll index field alias build stats check copy compact backup restore bench shell serve version' -- "$cur"))
        return
    fi
    case ${COMP_WORDS[1]} in
    create)
        case $prev in
        --dim|-d) return ;;
        --metric|-m) COMPREPLY=($(compgen -W 'cosine l2 dot l1' -- "$cur")); return ;;
        --field) return ;;
        --index) COMPREPLY=($(compgen -W 'hybrid kdtree lsh flat' -- "$cur")); return ;;
        --set) return ;;
        --payload-index) return ;;
        --config) return ;;
        --busy-timeout) return ;;
        esac
        opts='--dim --metric --field --index --set --payload-index --config --json --quiet --busy-timeout --help'
        collection=1 ;;
    collections)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts=' --json --quiet --busy-timeout --help'
        collection=0 ;;
    describe)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts=' --json --quiet --busy-timeout --help'
        collection=1 ;;
    drop)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts=' --json --quiet --busy-timeout --help'
        collection=1 ;;
    import)
        case $prev in
        --format) COMPREPLY=($(compgen -W 'idx npy fvecs bvecs ivecs jsonl csv hdf5' -- "$cur")); return ;;
        --metric|-m) COMPREPLY=($(compgen -W 'cosine l2 dot l1' -- "$cur")); return ;;
        --index) COMPREPLY=($(compgen -W 'hybrid kdtree lsh flat' -- "$cur")); return ;;
        --set) return ;;
        --payload-index) return ;;
        --ids) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --first-id) return ;;
        --payload|-p) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --labels) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --label-names) return ;;
        --using) return ;;
        --limit|-n) return ;;
        --threads|-t) return ;;
        --busy-timeout) return ;;
        esac
        opts='--format --create --metric --index --set --payload-index --ids --first-id --payload --labels --label-names --using --merge --limit --no-build --threads --json --quiet --busy-timeout --help'
        collection=1 ;;
    export)
        case $prev in
        --format) COMPREPLY=($(compgen -W 'jsonl csv npy fvecs' -- "$cur")); return ;;
        --filter|-f) return ;;
        --using) return ;;
        --ids) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --payload|-p) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --busy-timeout) return ;;
        esac
        opts='--format --filter --using --ids --payload --json --quiet --busy-timeout --help'
        collection=1 ;;
    embed)
        case $prev in
        --model) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --features) COMPREPLY=($(compgen -W 'pixels colour-histogram logmel' -- "$cur")); return ;;
        --search|-s) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --index) COMPREPLY=($(compgen -W 'hybrid kdtree lsh flat' -- "$cur")); return ;;
        --set) return ;;
        --payload-index) return ;;
        --thumbnail) return ;;
        --sound-preview) return ;;
        --threads|-t) return ;;
        --using) return ;;
        --k|-k) return ;;
        --offset) return ;;
        --filter|-f) return ;;
        --recall|-r) return ;;
        --budget) return ;;
        --threshold) return ;;
        --busy-timeout) return ;;
        esac
        opts='--model --features --create --search --index --set --payload-index --thumbnail --sound-preview --again --timings --no-build --threads --using --k --offset --filter --recall --exact --budget --threshold --json --quiet --busy-timeout --help'
        collection=1 ;;
    put)
        case $prev in
        --id|-i) return ;;
        --vector|-v) return ;;
        --payload|-p) return ;;
        --filter|-f) return ;;
        --busy-timeout) return ;;
        esac
        opts='--id --vector --payload --filter --json --quiet --busy-timeout --help'
        collection=1 ;;
    get)
        case $prev in
        --filter|-f) return ;;
        --limit|-n) return ;;
        --from) return ;;
        --with|-w) return ;;
        --busy-timeout) return ;;
        esac
        opts='--filter --limit --from --with --json --quiet --busy-timeout --help'
        collection=1 ;;
    update)
        case $prev in
        --id|-i) return ;;
        --vector|-v) return ;;
        --set) return ;;
        --payload|-p) return ;;
        --at) return ;;
        --overwrite) return ;;
        --delete-key) return ;;
        --delete-vector) return ;;
        --filter|-f) return ;;
        --busy-timeout) return ;;
        esac
        opts='--id --vector --set --payload --at --overwrite --delete-key --clear --delete-vector --filter --json --quiet --busy-timeout --help'
        collection=1 ;;
    delete)
        case $prev in
        --id|-i) return ;;
        --filter|-f) return ;;
        --busy-timeout) return ;;
        esac
        opts='--id --filter --json --quiet --busy-timeout --help'
        collection=1 ;;
    search)
        case $prev in
        --id|-i) return ;;
        --file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --format) COMPREPLY=($(compgen -W 'idx npy fvecs bvecs ivecs jsonl csv hdf5' -- "$cur")); return ;;
        --row) return ;;
        --vector|-v) return ;;
        --using) return ;;
        --k|-k) return ;;
        --offset) return ;;
        --filter|-f) return ;;
        --recall|-r) return ;;
        --budget) return ;;
        --threshold) return ;;
        --with|-w) return ;;
        --draw) return ;;
        --caption) return ;;
        --colors) COMPREPLY=($(compgen -W 'auto none 256 full' -- "$cur")); return ;;
        --busy-timeout) return ;;
        esac
        opts='--id --file --format --row --vector --using --k --offset --filter --recall --exact --budget --threshold --with --explain --draw --caption --colors --json --quiet --busy-timeout --help'
        collection=1 ;;
    why)
        case $prev in
        --like) return ;;
        --vector|-v) return ;;
        --using) return ;;
        --k|-k) return ;;
        --offset) return ;;
        --filter|-f) return ;;
        --recall|-r) return ;;
        --budget) return ;;
        --threshold) return ;;
        --busy-timeout) return ;;
        esac
        opts='--like --vector --using --k --offset --filter --recall --exact --budget --threshold --json --quiet --busy-timeout --help'
        collection=1 ;;
    duplicates)
        case $prev in
        --threshold|-t) return ;;
        --field) return ;;
        --using) return ;;
        --filter|-f) return ;;
        --k|-k) return ;;
        --recall|-r) return ;;
        --threads) return ;;
        --busy-timeout) return ;;
        esac
        opts='--threshold --field --using --filter --k --recall --exact --threads --json --quiet --busy-timeout --help'
        collection=1 ;;
    count)
        case $prev in
        --filter|-f) return ;;
        --busy-timeout) return ;;
        esac
        opts='--filter --json --quiet --busy-timeout --help'
        collection=1 ;;
    scroll)
        case $prev in
        --limit|-n) return ;;
        --from) return ;;
        --filter|-f) return ;;
        --with|-w) return ;;
        --busy-timeout) return ;;
        esac
        opts='--limit --from --filter --with --json --quiet --busy-timeout --help'
        collection=1 ;;
    index)
        case $prev in
        --type|-t) COMPREPLY=($(compgen -W 'keyword integer float bool datetime geo uuid text' -- "$cur")); return ;;
        --busy-timeout) return ;;
        esac
        opts='--type --json --quiet --busy-timeout --help'
        collection=1 ;;
    field)
        case $prev in
        --dim|-d) return ;;
        --metric|-m) COMPREPLY=($(compgen -W 'cosine l2 dot l1' -- "$cur")); return ;;
        --busy-timeout) return ;;
        esac
        opts='--dim --metric --multi --sparse --idf --json --quiet --busy-timeout --help'
        collection=1 ;;
    alias)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts='--remove --json --quiet --busy-timeout --help'
        collection=0 ;;
    build)
        case $prev in
        --threads|-t) return ;;
        --busy-timeout) return ;;
        esac
        opts='--threads --json --quiet --busy-timeout --help'
        collection=1 ;;
    stats)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts=' --json --quiet --busy-timeout --help'
        collection=1 ;;
    check)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts=' --json --quiet --busy-timeout --help'
        collection=0 ;;
    copy)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts=' --json --quiet --busy-timeout --help'
        collection=0 ;;
    compact)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts=' --json --quiet --busy-timeout --help'
        collection=0 ;;
    backup)
        case $prev in
        --collection|-c) return ;;
        --busy-timeout) return ;;
        esac
        opts='--collection --json --quiet --busy-timeout --help'
        collection=0 ;;
    restore)
        case $prev in
        --collection|-c) return ;;
        --busy-timeout) return ;;
        esac
        opts='--collection --replace --json --quiet --busy-timeout --help'
        collection=0 ;;
    bench)
        case $prev in
        --base) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --queries) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --truth) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --metric|-m) COMPREPLY=($(compgen -W 'cosine l2 dot l1' -- "$cur")); return ;;
        --k|-k) return ;;
        --recall|-r) return ;;
        --threads|-t) return ;;
        --passes) return ;;
        --pass-seconds) return ;;
        --index) COMPREPLY=($(compgen -W 'hybrid kdtree lsh flat' -- "$cur")); return ;;
        --set) return ;;
        --db) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --base-limit) return ;;
        --query-limit) return ;;
        --busy-timeout) return ;;
        esac
        opts='--base --queries --truth --metric --k --recall --threads --passes --pass-seconds --index --set --db --reuse --base-limit --query-limit --json --quiet --busy-timeout --help'
        collection=0 ;;
    shell)
        case $prev in
        --command|-c) return ;;
        --busy-timeout) return ;;
        esac
        opts='--command --readonly --json --quiet --busy-timeout --help'
        collection=0 ;;
    serve)
        case $prev in
        --config-path) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --host) return ;;
        --http-port) return ;;
        --api-key) return ;;
        --alt-api-key) return ;;
        --read-only-api-key) return ;;
        --jwt-rbac) return ;;
        --enable-tls) return ;;
        --verify-client-certificate) return ;;
        --enable-cors) return ;;
        --max-request-size-mb) return ;;
        --max-workers) return ;;
        --event-threads) return ;;
        --queue-length) return ;;
        --max-connections) return ;;
        --keep-alive-timeout-sec) return ;;
        --client-request-timeout-sec) return ;;
        --request-timeout-sec) return ;;
        --long-request-timeout-sec) return ;;
        --shutdown-timeout-sec) return ;;
        --compress) return ;;
        --compat) return ;;
        --enable-static-content) return ;;
        --slow-query-secs) return ;;
        --metrics-prefix) return ;;
        --recall-sample) return ;;
        --tls-cert) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --tls-key) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --tls-ca-cert) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --storage-path) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --snapshots-path) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --cache-mb) return ;;
        --max-staleness-ms) return ;;
        --read-ahead) return ;;
        --embed) return ;;
        --embed-max-file-size-mb) return ;;
        --embed-max-megapixels) return ;;
        --embed-at-once) return ;;
        --embed-timeout-sec) return ;;
        --log-level) return ;;
        --log-format) return ;;
        --log-access) return ;;
        --log-audit) return ;;
        --busy-timeout) return ;;
        esac
        opts='--config-path --print-config --host --http-port --api-key --alt-api-key --read-only-api-key --jwt-rbac --enable-tls --verify-client-certificate --enable-cors --max-request-size-mb --max-workers --event-threads --queue-length --max-connections --keep-alive-timeout-sec --client-request-timeout-sec --request-timeout-sec --long-request-timeout-sec --shutdown-timeout-sec --compress --compat --enable-static-content --slow-query-secs --metrics-prefix --recall-sample --tls-cert --tls-key --tls-ca-cert --storage-path --snapshots-path --cache-mb --max-staleness-ms --read-ahead --embed --embed-max-file-size-mb --embed-max-megapixels --embed-at-once --embed-timeout-sec --log-level --log-format --log-access --log-audit --json --quiet --busy-timeout --help'
        collection=0 ;;
    version)
        case $prev in
        --busy-timeout) return ;;
        esac
        opts=' --json --quiet --busy-timeout --help'
        collection=0 ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$opts" -- "$cur"))
    elif ((COMP_CWORD == 3 && collection)); then
        COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" collections "${COMP_WORDS[2]}" -q 2>/dev/null)" -- "$cur"))
    else
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}
complete -o filenames -F _hashwood hashwood
