/* peers.cpp - hashwood and its peers side by side: one process, one thread, one core, in turns.
 *
 *     peers build ENGINE FOLDER                     builds an index and keeps it in FOLDER
 *     peers run FOLDER OUT.json ENGINE ... [k=10] [passes=3] [seconds=2] [cpu=1]
 *
 * FOLDER holds base.npy and query.npy (float32, bench/sets.py makes them), truth.i32 (100 ids a
 * query, nearest first) and truth.f32 (their distances). ENGINE is a line of `engines` below.
 *
 * `run` loads all engines, then goes through their settings in turns: first setting of the first
 * engine, first of the second ... So what else happens on the machine hits all of them alike. Every
 * query is one call; the best pass of a setting counts, in processor time of the thread (on an idle
 * machine the same as elapsed time, which is kept beside it). Recall counts an answer at the
 * distance of the k-th true neighbour as right, so ties do not matter.
 *
 * hashwood is measured as its users meet it: a database on disk, closed, opened again, searched
 * through the public interface with nothing set but the recall asked for. Peers get their best
 * settings from a grid, which is more than their users can know. From the second pass on, a setting is
 * left out when another one of its engine is both better and 1.5 times as fast.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <omp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFPQFastScan.h>
#include <faiss/IndexRefine.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <hnswlib/hnswlib.h>

#include <hashwood/hashwood.h>

namespace
{

[[noreturn]] void
fail(const std::string &what)
{
    fprintf(stderr, "peers: %s\n", what.c_str());
    exit(1);
}

double
clock_seconds(clockid_t clock)
{
    timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- data ---- */

/* A .npy file of float32 rows, mapped. */
struct Rows {
    const float *at = nullptr;
    size_t count = 0, dim = 0;

    explicit Rows(const std::string &path)
    {
        int file = open(path.c_str(), O_RDONLY);
        struct stat st;
        if (file < 0 || fstat(file, &st) != 0) fail("cannot read " + path);
        auto *bytes = (const unsigned char *)mmap(nullptr, (size_t)st.st_size, PROT_READ,
                                                  MAP_SHARED, file, 0);
        if (bytes == MAP_FAILED || memcmp(bytes, "\x93NUMPY\x01", 7) != 0)
            fail(path + " is not a .npy file");
        size_t header = 10 + bytes[8] + 256u * bytes[9];
        std::string text((const char *)bytes + 10, header - 10);
        const char *shape = strstr(text.c_str(), "'shape': (");
        if (!shape || sscanf(shape, "'shape': (%zu, %zu", &count, &dim) != 2)
            fail(path + " has no two dimensions");
        at = (const float *)(const void *)(bytes + header);
    }
    const float *row(size_t i) const { return at + i * dim; }
};

struct Set {
    std::string folder;
    Rows base, query;
    std::vector<int32_t> ids; /* 100 a query */
    std::vector<float> distances;

    explicit Set(const std::string &f) : folder(f), base(f + "/base.npy"), query(f + "/query.npy")
    {
        ids.resize(query.count * 100), distances.resize(query.count * 100);
        read(f + "/truth.i32", ids.data(), ids.size());
        read(f + "/truth.f32", distances.data(), distances.size());
    }
    static void read(const std::string &path, void *to, size_t count)
    {
        FILE *in = fopen(path.c_str(), "rb");
        if (in && fread(to, 4, count, in) != count) fail(path + " is too short");
        if (in) fclose(in);
    }
    /* How many of the k found ids are as near as the k-th true neighbour. */
    size_t right(size_t q, const int64_t *found, size_t k) const
    {
        const int32_t *id = &ids[q * 100];
        const float *d = &distances[q * 100];
        float limit = d[k - 1] + 1e-6f * fabsf(d[k - 1]);
        std::set<int64_t> near;
        for (size_t i = 0; i < 100 && d[i] <= limit; i++) near.insert(id[i]);
        size_t n = 0;
        for (size_t i = 0; i < k; i++) n += near.erase(found[i]);
        return n;
    }
};

/* ---- engines ---- */

struct Engine {
    virtual ~Engine() = default;
    virtual void build(const Set &set, const std::string &path) = 0;
    virtual void load(const Set &set, const std::string &path) = 0;
    virtual std::vector<std::string> settings(const Set &) const = 0;
    virtual void choose(size_t setting) = 0;
    virtual void search(const float *query, size_t k, int64_t *found) = 0;
};

struct Hnswlib : Engine {
    size_t m, ef_build;
    std::vector<size_t> efs{10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 640, 900, 1300};
    std::unique_ptr<hnswlib::L2Space> space;
    std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;

    Hnswlib(size_t m_, size_t ef_) : m(m_), ef_build(ef_) {}
    void build(const Set &set, const std::string &path) override
    {
        space = std::make_unique<hnswlib::L2Space>(set.base.dim);
        graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(space.get(), set.base.count, m,
                                                                  ef_build);
        for (size_t i = 0; i < set.base.count; i++) graph->addPoint((void *)set.base.row(i), i);
        graph->saveIndex(path);
    }
    void load(const Set &set, const std::string &path) override
    {
        space = std::make_unique<hnswlib::L2Space>(set.base.dim);
        graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(space.get(), path);
    }
    std::vector<std::string> settings(const Set &) const override
    {
        std::vector<std::string> out;
        for (size_t ef : efs) out.push_back("ef=" + std::to_string(ef));
        return out;
    }
    void choose(size_t s) override { graph->setEf(efs[s]); }
    void search(const float *query, size_t k, int64_t *found) override
    {
        auto queue = graph->searchKnn((void *)query, k);
        for (size_t i = queue.size(); i-- > 0; queue.pop()) found[i] = (int64_t)queue.top().second;
    }
};

/* Any index that faiss makes from a text. */
struct Faiss : Engine {
    std::string text;
    std::unique_ptr<faiss::Index> index;
    std::vector<float> distances;

    explicit Faiss(std::string t) : text(std::move(t)) {}
    void build(const Set &set, const std::string &path) override
    {
        index.reset(faiss::index_factory((int)set.base.dim, text.c_str()));
        index->train((int64_t)set.base.count, set.base.at);
        index->add((int64_t)set.base.count, set.base.at);
        faiss::write_index(index.get(), path.c_str());
    }
    void load(const Set &, const std::string &path) override
    {
        index.reset(faiss::read_index(path.c_str()));
    }
    std::vector<std::string> settings(const Set &) const override { return {"exact"}; }
    void choose(size_t) override {}
    void search(const float *query, size_t k, int64_t *found) override
    {
        distances.resize(k);
        index->search(1, query, (int64_t)k, distances.data(), found);
    }
};

struct FaissHnsw : Faiss {
    std::vector<int> efs{10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 640, 900, 1300};

    FaissHnsw() : Faiss("HNSW16,Flat") {}
    void build(const Set &set, const std::string &path) override
    {
        auto graph = std::make_unique<faiss::IndexHNSWFlat>((int)set.base.dim, 16);
        graph->hnsw.efConstruction = 200;
        graph->add((int64_t)set.base.count, set.base.at);
        faiss::write_index(graph.get(), path.c_str());
    }
    std::vector<std::string> settings(const Set &) const override
    {
        std::vector<std::string> out;
        for (int ef : efs) out.push_back("ef=" + std::to_string(ef));
        return out;
    }
    void choose(size_t s) override
    {
        dynamic_cast<faiss::IndexHNSWFlat &>(*index).hnsw.efSearch = efs[s];
    }
};

/* Inverted lists, 4-bit product codes scanned in registers, the best k * factor compared in full. */
struct FaissFastScan : Faiss {
    std::vector<size_t> probes{1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512};
    std::vector<float> factors{2, 4, 8, 16, 32, 64};
    size_t part;
    bool fine;

    /* part: components that share one code. */
    FaissFastScan(size_t part_, bool fine_) : Faiss(""), part(part_), fine(fine_) {}
    /* About sqrt(n), or 4 sqrt(n): the range that faiss's guidelines give. */
    size_t lists_of(size_t count) const
    {
        if (fine) return (size_t)(4 * std::sqrt((double)count));
        return count < 200000 ? 256 : 1024;
    }
    void build(const Set &set, const std::string &path) override
    {
        text = "IVF" + std::to_string(lists_of(set.base.count)) + ",PQ" +
               std::to_string(set.base.dim / part) + "x4fs,RFlat";
        Faiss::build(set, path);
    }
    std::vector<std::string> settings(const Set &) const override
    {
        std::vector<std::string> out;
        for (size_t p : probes)
            for (float f : factors)
                out.push_back("nprobe=" + std::to_string(p) + " factor=" + std::to_string((int)f));
        return out;
    }
    void choose(size_t s) override
    {
        auto &refine = dynamic_cast<faiss::IndexRefineFlat &>(*index);
        refine.k_factor = factors[s % factors.size()];
        dynamic_cast<faiss::IndexIVFPQFastScan &>(*refine.base_index).nprobe =
            probes[s / factors.size()];
    }
};

struct Hashwood : Engine {
    std::vector<double> recalls{.70, .80, .85, .90,  .92, .94,  .95,
                                .96, .97, .98, .985, .99, .995, .998};
    hw_db *db = nullptr;
    hw_collection *collection = nullptr;
    hw_query query = HW_QUERY_INIT;
    hw_error err;
    bool with_payload; /* {"s": 0 .. 999}, indexed: for filters */

    explicit Hashwood(bool payload) : with_payload(payload) {}

    void need(hw_status st) const
    {
        if (st != HW_OK) fail(std::string("hashwood: ") + err.message);
    }
    void open(const std::string &path, bool bulk)
    {
        hw_db_opts opts = HW_DB_OPTS_INIT;
        opts.bulk_load = opts.no_sync = bulk, opts.threads = 1;
        need(hw_db_open(path.c_str(), &opts, &db, &err));
    }
    void close()
    {
        hw_collection_close(collection);
        hw_db_close(db);
        collection = nullptr, db = nullptr;
    }
    void build(const Set &set, const std::string &path) override
    {
        std::string config = "{\"dim\": " + std::to_string(set.base.dim) + ", \"metric\": \"" +
                             (getenv("METRIC") ? getenv("METRIC") : "l2") + "\"" +
                             (with_payload ? ", \"payload_indexes\": {\"s\": \"integer\"}}" : "}");
        open(path, true);
        need(hw_collection_create(db, "bench", config.c_str(), &err));
        need(hw_collection_open(db, "bench", &collection, &err));
        std::vector<hw_id> ids;
        std::vector<std::string> texts(1000);
        std::vector<const char *> payloads(1000);
        double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (size_t at = 0; at < set.base.count; at += ids.size()) {
            ids.clear();
            for (size_t i = at; i < std::min(at + 1000, set.base.count); i++)
                ids.push_back(HW_ID_U64(i));
            for (size_t i = 0; with_payload && i < ids.size(); i++) {
                texts[i] =
                    "{\"s\": " + std::to_string((at + i) * 2654435761u % 4294967296u % 1000) + "}";
                payloads[i] = texts[i].c_str();
            }
            need(hw_collection_upsert(collection, ids.data(), set.base.row(at), ids.size(),
                                      with_payload ? payloads.data() : nullptr, &err));
        }
        printf("load %.2f\n", clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
        need(hw_collection_build(collection, nullptr, nullptr, &err));
        close();
    }
    void load(const Set &set, const std::string &path) override
    {
        open(path, false);
        need(hw_collection_open(db, "bench", &collection, &err));
        query.dim = (uint32_t)set.base.dim;
    }
    ~Hashwood() override { close(); }
    std::vector<std::string> settings(const Set &) const override
    {
        std::vector<std::string> out;
        for (double r : recalls) out.push_back("recall=" + std::to_string(r).substr(0, 5));
        return out;
    }
    void choose(size_t s) override { query.recall = recalls[s]; }
    void search(const float *vector, size_t k, int64_t *found) override
    {
        hw_result *r;
        query.vector = vector, query.k = (uint32_t)k;
        need(hw_collection_search(collection, &query, &r, &err));
        const hw_id *ids = hw_result_ids(r);
        for (size_t i = 0; i < hw_result_count(r); i++) found[i] = (int64_t)ids[i].as.u64;
        hw_result_free(r);
    }
};

std::unique_ptr<Engine>
make_engine(const std::string &name)
{
    if (name == "hashwood") return std::make_unique<Hashwood>(false);
    if (name == "hashwood-filter") return std::make_unique<Hashwood>(true);
    if (name == "hnswlib-16") return std::make_unique<Hnswlib>(16, 200);
    if (name == "hnswlib-32") return std::make_unique<Hnswlib>(32, 400);
    if (name == "hnswlib-32-200") return std::make_unique<Hnswlib>(32, 200);
    if (name == "faiss-flat") return std::make_unique<Faiss>("Flat");
    if (name == "faiss-hnsw-16") return std::make_unique<FaissHnsw>();
    if (name == "faiss-fastscan-2") return std::make_unique<FaissFastScan>(2, false);
    if (name == "faiss-fastscan-4") return std::make_unique<FaissFastScan>(4, false);
    if (name == "faiss-fastscan-2-fine") return std::make_unique<FaissFastScan>(2, true);
    fail("unknown engine " + name);
}

/* ---- measuring ---- */

struct Point {
    std::string setting;
    double recall = 0, cpu_us = 1e30, wall_us = 1e30;
    size_t queries = 0;
};

struct Runner {
    std::string name;
    std::unique_ptr<Engine> engine;
    std::vector<Point> points;
};

void
measure(Runner &r, size_t setting, const Set &set, size_t k, double seconds)
{
    Point &p = r.points[setting];
    std::vector<int64_t> found(set.query.count * k, -1);
    size_t n = 0;

    r.engine->choose(setting);
    for (; n < std::min<size_t>(50, set.query.count); n++) /* caches as in steady use */
        r.engine->search(set.query.row(n), k, &found[n * k]);
    double cpu = clock_seconds(CLOCK_THREAD_CPUTIME_ID), wall = clock_seconds(CLOCK_MONOTONIC);
    for (n = 0; n < set.query.count; n++) {
        r.engine->search(set.query.row(n), k, &found[n * k]);
        if (n % 16 == 15 && clock_seconds(CLOCK_THREAD_CPUTIME_ID) - cpu > seconds) {
            n++;
            break;
        }
    }
    p.cpu_us = std::min(p.cpu_us, (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e6 / (double)n);
    p.wall_us = std::min(p.wall_us, (clock_seconds(CLOCK_MONOTONIC) - wall) * 1e6 / (double)n);
    if (n <= p.queries) return;
    size_t right = 0;
    for (size_t q = 0; q < n; q++) right += set.right(q, &found[q * k], k);
    p.recall = (double)right / (double)(n * k), p.queries = n;
}

/* Whether the first passes showed that a setting cannot matter for the curve. */
bool
is_beaten(const Runner &r, const Point &p)
{
    for (const Point &q : r.points)
        if (q.recall >= p.recall && 1.5 * q.cpu_us < p.cpu_us) return true;
    return false;
}

void
write_json(const char *path, const std::vector<Runner> &runners, size_t k)
{
    FILE *out = fopen(path, "w");
    if (!out) fail(std::string("cannot write ") + path);
    fprintf(out, "{\"k\": %zu, \"engines\": [", k);
    for (size_t i = 0; i < runners.size(); i++) {
        fprintf(out, "%s\n {\"name\": \"%s\", \"points\": [", i ? "," : "",
                runners[i].name.c_str());
        for (size_t j = 0; j < runners[i].points.size(); j++) {
            const Point &p = runners[i].points[j];
            fprintf(out,
                    "%s\n  {\"setting\": \"%s\", \"recall\": %.5f, \"cpu_us\": %.3f, "
                    "\"wall_us\": %.3f, \"queries\": %zu}",
                    j ? "," : "", p.setting.c_str(), p.recall, p.cpu_us, p.wall_us, p.queries);
        }
        fprintf(out, "]}");
    }
    fprintf(out, "]}\n");
    fclose(out);
}

std::string
index_path(const std::string &folder, const std::string &engine)
{
    return folder + "/index." + engine;
}

int
run_all(int argc, char **argv)
{
    size_t k = 10, passes = 3, cpu = 1;
    double seconds = 2;
    Set set(argv[2]);
    std::vector<Runner> runners;

    for (int i = 4; i < argc; i++) {
        std::string a = argv[i];
        size_t eq = a.find('=');
        if (eq == std::string::npos) {
            runners.push_back({a, make_engine(a), {}});
        } else {
            double v = atof(a.c_str() + eq + 1);
            std::string key = a.substr(0, eq);
            if (key == "k")
                k = (size_t)v;
            else if (key == "passes")
                passes = (size_t)v;
            else if (key == "seconds")
                seconds = v;
            else if (key == "cpu")
                cpu = (size_t)v;
            else
                fail("unknown option " + a);
        }
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) perror("peers: pinning");
    omp_set_num_threads(1);
    size_t longest = 0;
    for (Runner &r : runners) {
        r.engine->load(set, index_path(set.folder, r.name));
        for (const std::string &s : r.engine->settings(set)) r.points.push_back({s});
        longest = std::max(longest, r.points.size());
    }
    for (size_t pass = 0; pass < passes; pass++)
        for (size_t s = 0; s < longest; s++)
            for (Runner &r : runners)
                if (s < r.points.size() && (pass == 0 || !is_beaten(r, r.points[s])))
                    measure(r, s, set, k, seconds);
    write_json(argv[3], runners, k);
    return 0;
}

int
build_one(const std::string &name, const std::string &folder)
{
    Set set(folder);
    auto engine = make_engine(name);
    double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);

    omp_set_num_threads(1);
    engine->build(set, index_path(folder, name));
    printf("build %.2f\n", clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
    return 0;
}

} // namespace

int
main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "build") == 0) return build_one(argv[2], argv[3]);
    if (argc > 4 && strcmp(argv[1], "run") == 0) return run_all(argc, argv);
    fprintf(stderr, "usage: peers build ENGINE FOLDER | peers run FOLDER OUT.json ENGINE ...\n");
    return 2;
}
