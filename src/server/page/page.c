/* page.c - the web page and its files, which are part of the program.
 *
 *     GET /dashboard            index.html
 *     GET /dashboard/search.js  a file of this folder
 *
 * The page is plain HTML, CSS and JavaScript modules (README.md), put into the program as they are
 * when it is built. So there is no folder to install or to find, and no path of a request ever
 * reaches the file system: a name is looked up in a table.
 *
 * Open without a key, for it holds no data; whatever it shows it asks for through the same calls as
 * any client, with the key its user types.
 */
#include "server/page/page.h"
#include "server/server.h"

static bool
send_file(hwi_request *r, const char *name)
{
    if (!hwi_server_config(r->server)->service_enable_static_content)
        return hwi_refuse(r, 404, "Not found: the page is switched off");
    for (const hwi_page_file *f = hwi_page_files; f->name; f++) {
        if (strcmp(f->name, name) != 0) continue;
        r->kind = HWI_BODY_PLAIN;
        r->content_type = f->type;
        /* a newer program may hold a newer page */
        hwi_request_answer_header(r, "Cache-Control", "no-cache");
        hwi_buf_add(&r->out, f->bytes, f->size);
        return true;
    }
    return hwi_refuse(r, 404, "Not found: the page has no file `%s`", name);
}

static bool
get_page(hwi_request *r)
{
    return send_file(r, "index.html");
}

static bool
get_file(hwi_request *r)
{
    return send_file(r, hwi_request_param(r, "file"));
}

#define OPEN HWI_NEED_NOTHING, HWI_ROUTE_INLINE | HWI_ROUTE_NO_BODY

const hwi_route hwi_routes_page[] = {
    {HWI_GET, "/dashboard", OPEN, get_page},
    {HWI_GET, "/dashboard/{file}", OPEN, get_file},
    {0},
};
