/* commands.h - the subcommands, each defined in its cmd_<verb>.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "args.h"

extern const cli_command cli_create_command, cli_collections_command, cli_describe_command,
    cli_drop_command, cli_import_command, cli_export_command, cli_put_command, cli_get_command,
    cli_update_command, cli_delete_command, cli_search_command, cli_why_command,
    cli_duplicates_command, cli_count_command, cli_scroll_command, cli_index_command,
    cli_build_command, cli_stats_command, cli_check_command, cli_copy_command, cli_compact_command,
    cli_backup_command, cli_restore_command, cli_bench_command, cli_shell_cmd, cli_version_command,
    cli_serve_command, cli_embed_command, cli_field_command, cli_alias_command;

/* Man pages and completions from the tables above, into folders of the source tree (docs.c). */
int cli_write_docs(const char *source_folder);

#endif
