//! Every option and argument of every command is honoured: the test that shows it is named here, and whoever adds an
//! option without one is stopped.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Arg, Command};

use crate::cli;
use crate::context::Style;
use crate::options::table;

/// A test, by its name and the file that it stands in, below this crate.
type Proof = (&'static str, &'static str);

/// Options that have layers: the same test takes each of them through every layer of every command that has it.
const LAYERED: Proof = (
    "every_option_is_honoured_by_every_command_that_takes_it",
    "src/settings/tests.rs",
);

/// Settings of providers, which have a table of their own.
const SETTINGS: Proof = (
    "every_setting_is_honoured_in_every_layer",
    "src/providers/tests.rs",
);

/// Options with layers that change what a settled run does not show.
const APART: &[(&str, Proof)] = &[
    (
        "config",
        (
            "a_later_file_beats_an_earlier_one_and_lists_are_replaced_whole",
            "src/settings/tests.rs",
        ),
    ),
    (
        "log-level",
        (
            "the_log_says_as_much_as_it_was_told_to_by_every_layer",
            "tests/it/logging.rs",
        ),
    ),
    (
        "log-format",
        ("a_machine_reads_the_log_line_by_line", "tests/it/logging.rs"),
    ),
    (
        "provider",
        (
            "token_file_belongs_to_the_chosen_provider",
            "src/providers/tests.rs",
        ),
    ),
    (
        "token-file",
        (
            "token_file_belongs_to_the_chosen_provider",
            "src/providers/tests.rs",
        ),
    ),
    (
        "metrics-public",
        (
            "metrics_are_for_this_machine_unless_that_is_waived",
            "src/settings/tests.rs",
        ),
    ),
    (
        "max-stale",
        (
            "an_old_secret_is_unhealthy_from_the_age_that_every_layer_can_say",
            "tests/it/logging.rs",
        ),
    ),
];

/// Arguments of single commands.
const OWN: &[(&str, &str, Proof)] = &[
    (
        "plan",
        "format",
        (
            "each_output_is_told_with_its_source_mode_policy_and_references",
            "tests/it/plan.rs",
        ),
    ),
    (
        "plan",
        "exit_code",
        (
            "the_exit_code_tells_whether_a_run_would_change_something",
            "tests/it/plan.rs",
        ),
    ),
    (
        "plan",
        "offline",
        ("the_counted_calls_are_those_that_a_run_makes", "tests/it/plan.rs"),
    ),
    (
        "exec",
        "env",
        (
            "a_later_flag_wins_and_flags_beat_variables_beat_files_beat_what_is_inherited",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "env-from",
        (
            "every_key_of_a_secret_becomes_a_variable",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "prefix",
        (
            "every_key_of_a_secret_becomes_a_variable",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "only",
        (
            "every_key_of_a_secret_becomes_a_variable",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "except",
        (
            "every_key_of_a_secret_becomes_a_variable",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "as-file",
        (
            "a_file_that_only_the_program_can_read_holds_what_no_variable_can",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "allow-name",
        (
            "a_secret_changes_what_programs_do_only_where_that_is_allowed",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "env",
        "env",
        ("variables_are_printed_in_every_format", "tests/it/exec/alone.rs"),
    ),
    (
        "env",
        "env-from",
        (
            "every_key_of_a_secret_becomes_a_variable",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "env",
        "prefix",
        (
            "every_key_of_a_secret_becomes_a_variable",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "env",
        "only",
        (
            "every_key_of_a_secret_becomes_a_variable",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "env",
        "except",
        (
            "every_key_of_a_secret_becomes_a_variable",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "env",
        "as-file",
        (
            "a_file_that_only_the_program_can_read_holds_what_no_variable_can",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "env",
        "allow-name",
        (
            "a_secret_changes_what_programs_do_only_where_that_is_allowed",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "map",
        (
            "files_are_put_in_place_before_the_program_runs",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "secret",
        (
            "files_are_put_in_place_before_the_program_runs",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "watch",
        (
            "an_edited_env_file_restarts_the_program_and_an_equal_one_does_not",
            "tests/it/exec/supervised.rs",
        ),
    ),
    (
        "exec",
        "refresh",
        (
            "a_rotated_secret_restarts_signals_or_does_nothing",
            "tests/it/exec/supervised.rs",
        ),
    ),
    (
        "exec",
        "on-change",
        (
            "a_rotated_secret_restarts_signals_or_does_nothing",
            "tests/it/exec/supervised.rs",
        ),
    ),
    (
        "exec",
        "timeout",
        (
            "a_program_that_does_not_end_in_time_is_killed",
            "tests/it/exec/supervised.rs",
        ),
    ),
    (
        "exec",
        "mask",
        (
            "secrets_are_hidden_on_both_streams_in_every_form",
            "tests/it/exec/masked.rs",
        ),
    ),
    (
        "exec",
        "mask-short",
        (
            "a_secret_that_could_be_any_word_is_refused_unless_that_is_meant",
            "tests/it/exec/masked.rs",
        ),
    ),
    (
        "exec",
        "keep-credentials",
        (
            "the_program_gets_none_of_our_credentials_unless_that_is_asked_for",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "no-renew",
        (
            "a_lease_is_renewed_while_the_program_runs_and_given_back_with_it",
            "tests/it/exec/leased.rs",
        ),
    ),
    (
        "exec",
        "state-dir",
        (
            "who_was_not_told_beside_one_program_is_told_beside_the_next_if_it_is_kept",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "exec",
        "command",
        (
            "a_program_gets_its_variables_and_gives_its_status",
            "tests/it/exec/alone.rs",
        ),
    ),
    (
        "env",
        "format",
        ("variables_are_printed_in_every_format", "tests/it/exec/alone.rs"),
    ),
    (
        "env",
        "show",
        (
            "a_terminal_is_shown_nothing_unless_that_is_asked_for",
            "tests/it/exec/terminal.rs",
        ),
    ),
    (
        "compose",
        "project-name",
        (
            "lists_env_files_and_raw_are_what_the_protocol_says",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "compose up",
        "base_dir",
        (
            "a_relative_token_that_is_not_there_is_told_with_its_directory",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "compose up",
        "secrets",
        (
            "lists_env_files_and_raw_are_what_the_protocol_says",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "compose up",
        "env",
        (
            "lists_env_files_and_raw_are_what_the_protocol_says",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "compose up",
        "env_file",
        (
            "lists_env_files_and_raw_are_what_the_protocol_says",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "compose up",
        "raw",
        (
            "lists_env_files_and_raw_are_what_the_protocol_says",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "compose up",
        "service",
        (
            "lists_env_files_and_raw_are_what_the_protocol_says",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "compose down",
        "rest",
        (
            "warnings_do_not_end_up_and_down_contacts_nobody",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "compose stop",
        "rest",
        (
            "warnings_do_not_end_up_and_down_contacts_nobody",
            "tests/it/docker/compose.rs",
        ),
    ),
    (
        "build",
        "secret",
        (
            "the_step_reads_every_secret_and_neither_image_nor_engine_keeps_one",
            "tests/it/docker/build.rs",
        ),
    ),
    (
        "build",
        "keep_credentials",
        (
            "the_client_gets_none_of_our_credentials_unless_that_is_asked_for",
            "tests/it/docker/build.rs",
        ),
    ),
    (
        "build",
        "command",
        ("what_builds_nothing_is_refused", "tests/it/docker/build.rs"),
    ),
    (
        "sync",
        "map",
        (
            "each_change_is_one_line_and_the_exit_code_tells_of_it",
            "tests/it/sync/lines.rs",
        ),
    ),
    (
        "sync",
        "every",
        (
            "every_repeats_the_round_and_reads_the_map_again",
            "tests/it/sync/rounds.rs",
        ),
    ),
    (
        "sync",
        "jitter",
        (
            "every_repeats_the_round_and_reads_the_map_again",
            "tests/it/sync/rounds.rs",
        ),
    ),
    (
        "sync",
        "drill",
        (
            "a_drill_writes_every_value_anew_and_tells_everybody",
            "tests/it/sync/rounds.rs",
        ),
    ),
    ("systemd", "purposes", ("transcripts", "tests/golden.rs")),
    (
        "systemd",
        "install",
        (
            "the_timer_syncs_into_memory_with_a_credential_of_the_machine_and_a_change_is_no_failure",
            "tests/it/systemd/booted.rs",
        ),
    ),
    (
        "systemd",
        "uninstall",
        (
            "the_timer_syncs_into_memory_with_a_credential_of_the_machine_and_a_change_is_no_failure",
            "tests/it/systemd/booted.rs",
        ),
    ),
    (
        "systemd",
        "now",
        (
            "the_timer_syncs_into_memory_with_a_credential_of_the_machine_and_a_change_is_no_failure",
            "tests/it/systemd/booted.rs",
        ),
    ),
    (
        "systemd",
        "dry_run",
        (
            "the_timer_syncs_into_memory_with_a_credential_of_the_machine_and_a_change_is_no_failure",
            "tests/it/systemd/booted.rs",
        ),
    ),
    ("systemd", "out", ("transcripts", "tests/golden.rs")),
    ("systemd", "program", ("transcripts", "tests/golden.rs")),
    ("systemd", "mount", ("transcripts", "tests/golden.rs")),
    ("systemd", "size", ("transcripts", "tests/golden.rs")),
    (
        "systemd",
        "every",
        (
            "the_timer_syncs_into_memory_with_a_credential_of_the_machine_and_a_change_is_no_failure",
            "tests/it/systemd/booted.rs",
        ),
    ),
    (
        "systemd",
        "jitter",
        (
            "the_timer_syncs_into_memory_with_a_credential_of_the_machine_and_a_change_is_no_failure",
            "tests/it/systemd/booted.rs",
        ),
    ),
    ("systemd", "write", ("transcripts", "tests/golden.rs")),
    ("systemd", "owners", ("transcripts", "tests/golden.rs")),
    ("get", "reference", ("transcripts", "tests/golden.rs")),
    ("render", "file", ("transcripts", "tests/golden.rs")),
    (
        "store",
        "store.file",
        (
            "flags_and_variables_name_the_store_and_the_identity",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store",
        "store.identity-file",
        (
            "flags_and_variables_name_the_store_and_the_identity",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store init",
        "recipients",
        (
            "a_private_key_given_as_recipient_is_not_repeated",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store set",
        "name",
        (
            "set_takes_standard_input_byte_for_byte_and_get_gives_it_back",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store set",
        "value",
        (
            "a_value_on_the_command_line_is_refused_and_not_repeated",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store set",
        "allow_empty",
        (
            "an_empty_input_sets_nothing_unless_it_is_meant",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store get",
        "name",
        (
            "set_takes_standard_input_byte_for_byte_and_get_gives_it_back",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store list",
        "long",
        (
            "list_gives_names_and_with_long_their_age_and_length",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store rm",
        "names",
        ("rm_removes_all_or_nothing", "tests/it/store/commands.rs"),
    ),
    (
        "store import",
        "source",
        (
            "import_and_export_carry_everything_and_say_what_they_did",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store import",
        "format",
        (
            "import_and_export_carry_everything_and_say_what_they_did",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store import",
        "replace",
        (
            "import_and_export_carry_everything_and_say_what_they_did",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store import",
        "keep",
        (
            "import_and_export_carry_everything_and_say_what_they_did",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store export",
        "show",
        (
            "an_export_to_a_terminal_needs_to_be_meant",
            "tests/it/store/prompt.rs",
        ),
    ),
    (
        "store export",
        "format",
        (
            "import_and_export_carry_everything_and_say_what_they_did",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store rekey",
        "add",
        (
            "a_second_user_reads_after_being_added_and_no_more_after_being_removed",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store rekey",
        "remove",
        (
            "a_second_user_reads_after_being_added_and_no_more_after_being_removed",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "store rekey",
        "new_identity",
        (
            "a_second_user_reads_after_being_added_and_no_more_after_being_removed",
            "tests/it/store/commands.rs",
        ),
    ),
    (
        "plugin",
        "socket",
        (
            "a_plugin_is_where_flags_else_the_file_say",
            "src/commands/plugin/settle.rs",
        ),
    ),
    (
        "plugin",
        "runtime_dir",
        (
            "a_plugin_is_where_flags_else_the_file_say",
            "src/commands/plugin/settle.rs",
        ),
    ),
    (
        "volume",
        "socket",
        (
            "a_plugin_is_where_flags_else_the_file_say",
            "src/commands/plugin/settle.rs",
        ),
    ),
    (
        "volume",
        "runtime_dir",
        (
            "a_plugin_is_where_flags_else_the_file_say",
            "src/commands/plugin/settle.rs",
        ),
    ),
    (
        "swarm sync",
        "dry_run",
        (
            "a_new_value_is_a_new_object_that_services_get_under_the_same_name",
            "tests/it/plugin/swarm.rs",
        ),
    ),
    (
        "swarm sync",
        "timeout",
        (
            "an_update_that_does_not_end_in_time_is_told_and_loses_no_object",
            "tests/it/plugin/swarm.rs",
        ),
    ),
    (
        "providers",
        "format",
        (
            "credentials_are_told_by_their_source_and_never_by_their_value",
            "tests/it/providers.rs",
        ),
    ),
    (
        "providers check",
        "references",
        (
            "a_check_tells_what_came_of_each_reference_and_what_to_do",
            "tests/it/providers.rs",
        ),
    ),
    (
        "check",
        "files",
        (
            "templates_maps_env_files_and_the_configuration_are_checked_by_their_names",
            "tests/it/check/files.rs",
        ),
    ),
    (
        "check",
        "max_age",
        ("ages_count_from_the_last_change", "tests/it/check/troubles.rs"),
    ),
    (
        "check",
        "resolve",
        (
            "resolve_asks_for_every_reference_and_tells_those_without_a_value",
            "tests/it/check/files.rs",
        ),
    ),
    (
        "check",
        "fix",
        (
            "a_missing_secret_file_is_made_with_the_command_that_is_shown",
            "tests/it/check/troubles.rs",
        ),
    ),
    (
        "check",
        "format",
        (
            "sarif_names_every_rule_and_points_at_lines_and_columns",
            "tests/it/check/forms.rs",
        ),
    ),
    (
        "check",
        "baseline",
        (
            "a_baseline_leaves_out_what_it_knows_even_when_lines_move",
            "tests/it/check/forms.rs",
        ),
    ),
    (
        "check",
        "write_baseline",
        (
            "a_baseline_leaves_out_what_it_knows_even_when_lines_move",
            "tests/it/check/forms.rs",
        ),
    ),
    (
        "doctor",
        "json",
        (
            "the_doctor_finds_nothing_on_a_good_machine_and_names_what_is_bad",
            "tests/it/providers.rs",
        ),
    ),
    (
        "completions",
        "shell",
        (
            "every_shell_completes_every_command_and_setting",
            "src/cli_tests.rs",
        ),
    ),
    (
        "man",
        "command",
        (
            "a_page_has_its_title_its_options_and_the_exit_codes",
            "src/commands/man.rs",
        ),
    ),
    (
        "init",
        "directory",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "init",
        "guided",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "init",
        "file",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "init",
        "with",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "init",
        "service",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "init",
        "also",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "init",
        "fresh",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "init",
        "skip",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "init",
        "dry_run",
        (
            "every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal",
            "tests/it/project/init.rs",
        ),
    ),
    (
        "rotate",
        "name",
        (
            "a_running_postgres_takes_a_new_password_and_its_dependent_loses_no_row",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "all",
        (
            "a_running_postgres_takes_a_new_password_and_its_dependent_loses_no_row",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "older_than",
        (
            "a_running_postgres_takes_a_new_password_and_its_dependent_loses_no_row",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "dry_run",
        (
            "a_running_postgres_takes_a_new_password_and_its_dependent_loses_no_row",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "schedule",
        (
            "what_nobody_knows_how_to_change_is_refused_and_a_program_can_change_it",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "exec",
        (
            "what_nobody_knows_how_to_change_is_refused_and_a_program_can_change_it",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "file",
        (
            "what_nobody_knows_how_to_change_is_refused_and_a_program_can_change_it",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "finish",
        (
            "a_rotation_that_was_killed_is_finished_or_undone",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "undo",
        (
            "a_rotation_that_was_killed_is_finished_or_undone",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "rotate",
        "timeout",
        (
            "everything_is_as_before_when_a_dependent_stays_ill",
            "tests/it/project/rotate.rs",
        ),
    ),
    (
        "migrate",
        "apply",
        (
            "a_migrated_project_is_the_same_one_below_exec",
            "tests/it/project/migrate.rs",
        ),
    ),
    (
        "migrate",
        "to",
        (
            "values_go_to_the_store_and_backups_never_into_a_repository",
            "tests/it/project/migrate.rs",
        ),
    ),
    (
        "migrate",
        "backup",
        (
            "values_go_to_the_store_and_backups_never_into_a_repository",
            "tests/it/project/migrate.rs",
        ),
    ),
    (
        "migrate",
        "file",
        (
            "values_go_to_the_store_and_backups_never_into_a_repository",
            "tests/it/project/migrate.rs",
        ),
    ),
    ("man", "out", ("every_command_gets_a_page", "src/commands/man.rs")),
];

/// The test that shows that `command` honours `arg`.
fn proof(command: &str, arg: &Arg) -> Option<Proof> {
    let id = arg.get_id().as_str();
    let own = OWN
        .iter()
        .find(|(name, known, _)| *name == command && *known == id);
    if let Some((_, _, proof)) = own {
        return Some(*proof);
    }
    // An option of a command reaches its sub-commands.
    if let Some((above, _)) = command.rsplit_once(' ').filter(|_| arg.is_global_set()) {
        return proof(above, arg);
    }
    if let Some((_, proof)) = APART.iter().find(|(known, _)| *known == id) {
        return Some(*proof);
    }
    if arg.get_help_heading().is_some() {
        return Some(SETTINGS);
    }
    table::all().any(|opt| opt.name == id).then_some(LAYERED)
}

/// Every command with its way from the top, and its arguments.
fn arguments(command: &Command, way: &str, found: &mut Vec<(String, Arg)>) {
    for arg in command.get_arguments() {
        if !matches!(arg.get_id().as_str(), "help" | "version") {
            found.push((way.to_owned(), arg.clone()));
        }
    }
    for sub in command.get_subcommands() {
        let way = format!("{way} {}", sub.get_name());
        arguments(sub, way.trim_start(), found);
    }
}

fn every_argument() -> Vec<(String, Arg)> {
    let mut tree = cli::parser(Style::Plain);
    tree.build();
    let mut found = Vec::new();
    arguments(&tree, "", &mut found);
    found
}

#[test]
fn every_argument_of_every_command_names_the_test_that_shows_it_is_honoured() {
    let all = every_argument();
    assert!(all.len() > 100, "only {} arguments were found", all.len());
    let mut wrong = BTreeSet::new();
    for (command, arg) in &all {
        let name = format!("`{command}` {}", arg.get_id());
        match proof(command, arg) {
            None => {
                wrong.insert(format!("{name}: no test shows that it is honoured"));
            }
            Some((test, file)) => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                let text = std::fs::read_to_string(path).unwrap_or_default();
                if !text.contains(&format!("fn {test}(")) {
                    wrong.insert(format!("{name}: there is no test `{test}` in {file}"));
                }
            }
        }
    }
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_test_is_named_for_what_no_command_takes() {
    let all = every_argument();
    for (command, id, _) in OWN {
        let is_there = all
            .iter()
            .any(|(known, arg)| known == command && arg.get_id() == *id);
        assert!(is_there, "`{command}` has no `{id}`");
    }
}

#[test]
fn an_option_without_a_test_is_found_out() {
    let unknown = Arg::new("surprise").long("surprise");
    assert!(proof("run", &unknown).is_none());
    assert!(proof("run", &Arg::new("map")).is_some());
}
