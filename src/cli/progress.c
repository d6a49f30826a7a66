/* progress.c - one line that redraws itself:
 *
 *     rows       [##########..........]  52 %   31,200 of 60,000    12,480/s   2 s left
 *
 * The rate is over the whole stage, which is steadier than over the last moment. Nothing is drawn
 * in the first second, so quick work stays silent, nor more than five times a second.
 */
#include "progress.h"

#include <unistd.h>

#define FIRST_US 1000000u
#define EVERY_US 200000u
#define BAR 20u

void
cli_progress_begin(cli_progress *p, const cli *c)
{
    *p = (cli_progress){.on = !c->quiet && isatty(STDERR_FILENO)};
    p->start_us = p->stage_us = hwi_clock_us();
}

double
cli_progress_seconds(const cli_progress *p)
{
    return (double)(hwi_clock_us() - p->start_us) / 1e6;
}

static void
draw(const cli_progress *p, uint64_t now, uint64_t done, uint64_t total)
{
    char bar[BAR + 1], a[32], b[32], rate_text[32];
    double seconds = (double)(now - p->stage_us) / 1e6;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    double share = total ? (double)done / (double)total : 0;
    unsigned filled = (unsigned)(HWI_MIN(share, 1.0) * BAR);

    memset(bar, '.', BAR);
    memset(bar, '#', filled);
    bar[BAR] = 0;
    cli_count((uint64_t)rate, rate_text);
    if (total == 0) {
        fprintf(stderr, "\r%-12s %s done  %s/s\033[K", p->stage, cli_count(done, a), rate_text);
        return;
    }
    fprintf(stderr, "\r%-12s [%s] %3.0f %%  %s of %s", p->stage, bar, share * 100,
            cli_count(done, a), cli_count(total, b));
    if (rate >= 1) fprintf(stderr, "  %s/s", rate_text);
    if (rate > 0 && done < total)
        fprintf(stderr, "  %.0f s left", (double)(total - done) / rate + 0.5);
    fputs("\033[K", stderr);
}

bool
cli_progress_show(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    cli_progress *p = arg;
    uint64_t now = hwi_clock_us();

    if (cli_interrupted()) return false;
    if (!p->on) return true;
    if (strncmp(p->stage, stage, sizeof p->stage - 1) != 0) {
        snprintf(p->stage, sizeof p->stage, "%s", stage);
        p->stage_us = now;
    }
    if (now - p->start_us < FIRST_US || now - p->last_us < EVERY_US) return true;
    p->last_us = now;
    p->shown = true;
    draw(p, now, done, total);
    fflush(stderr);
    return true;
}

void
cli_progress_end(cli_progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = p->on = false;
}
