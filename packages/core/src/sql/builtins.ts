/** What a function of PostgreSQL itself means for routing. */
export type BuiltinRole =
  /** Immutable or stable: its answer depends on its arguments, the data and the settings. */
  | 'plain'
  /** Volatile by name only, or tells of the server that answers: right on any server, but not to be shared between clients. */
  | 'harmless'
  | 'writes'
  /** Reads or changes what its backend holds for the session. */
  | 'session'
  /** Acts on, or tells of, the running server. */
  | 'server'
  /** Fails in recovery, or only the primary's answer is right. */
  | 'primary'
  /** Runs SQL given as text, or is volatile for a reason that cannot be judged from here. */
  | 'volatile';

/**
 * Functions of pg_catalog in PostgreSQL 18 by role. `plain` is made from pg_proc (provolatile i or s for every function of the name, without
 * operators' functions, type input and output, and other internal ones); the rest is judged one by one from the documentation, chapter 9.
 * pg_is_in_recovery() and inet_server_addr() are harmless on purpose: who asks them in a read wants to know who answers reads.
 */
const FUNCTIONS_BY_ROLE: Readonly<Record<BuiltinRole, string>> = {
  plain: `
    abbrev abs acldefault aclexplode acos acosd acosh age any_value area array_agg array_dims array_fill array_length array_lower
    array_ndims array_position array_positions array_remove array_replace array_reverse array_sort array_to_json array_to_string
    array_to_tsvector array_upper ascii asin asind asinh atan atan2 atan2d atand atanh avg bit bit_and bit_count bit_length bit_or
    bit_xor bool bool_and bool_or box bpchar broadcast btrim bytea cardinality casefold cash_words cbrt ceil ceiling center char
    char_length character_length chr cidr circle col_description concat concat_ws convert convert_from convert_to corr cos cosd cosh
    cot cotd count covar_pop covar_samp crc32 crc32c cume_dist current_database current_schema current_schemas current_setting
    current_user database_to_xml database_to_xml_and_xmlschema database_to_xmlschema date date_add date_bin date_part date_subtract
    date_trunc datemultirange daterange daterange_canonical daterange_subdiff decode degrees dense_rank dexp diagonal diameter div
    dlog1 dlog10 dround dtrunc encode enum_first enum_last enum_range enum_send erf erfc every exp extract factorial family
    first_value float4 float8 floor format format_type gamma gcd generate_series generate_subscripts get_bit get_byte
    get_current_ts_config getdatabaseencoding getpgusername has_any_column_privilege has_column_privilege has_database_privilege
    has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_largeobject_privilege
    has_parameter_privilege has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege
    has_tablespace_privilege has_type_privilege height host hostmask icu_unicode_version inet_client_addr inet_client_port initcap
    int2 int4 int4inc int4multirange int4range int4range_canonical int4range_subdiff int8 int8_sum int8multirange int8range
    int8range_canonical int8range_subdiff interval is_normalized isclosed isempty isfinite ishorizontal isopen isparallel isperp
    isvertical json_agg json_agg_strict json_array_elements json_array_elements_text json_array_length json_build_array
    json_build_object json_each json_each_text json_object json_object_agg json_object_agg_strict json_object_agg_unique
    json_object_agg_unique_strict json_object_keys json_populate_record json_populate_recordset json_strip_nulls json_to_record
    json_to_recordset json_to_tsvector json_typeof jsonb_agg jsonb_agg_strict jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_insert jsonb_object jsonb_object_agg
    jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict jsonb_object_keys jsonb_path_exists
    jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz
    jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid
    jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset
    jsonb_to_tsvector jsonb_typeof justify_days justify_hours justify_interval lag last_value lcm lead left length lgamma like
    like_escape line ln log log10 lower lower_inc lower_inf lpad lseg ltrim macaddr macaddr8 macaddr8_set7bit make_date make_interval
    make_time make_timestamp make_timestamptz makeaclitem masklen max md5 min min_scale mod mode money multirange mxid_age name
    nameconcatoid netmask network normalize notlike now npoints nth_value ntile num_nonnulls num_nulls numeric numeric_div_trunc
    numeric_exp numeric_inc numeric_ln numeric_log numeric_sqrt nummultirange numnode numrange numrange_subdiff obj_description
    octet_length oid oidvectortypes overlaps overlay parse_ident path pclose percent_rank percentile_cont percentile_disc
    pg_available_extension_versions pg_available_extensions pg_basetype pg_char_to_encoding pg_client_encoding pg_collation_for
    pg_collation_is_visible pg_column_compression pg_column_is_updatable pg_column_size pg_column_toast_chunk_id
    pg_conversion_is_visible pg_current_snapshot pg_describe_object pg_encoding_max_length pg_encoding_to_char
    pg_extension_update_paths pg_filenode_relation pg_function_is_visible pg_get_acl pg_get_catalog_foreign_keys pg_get_constraintdef
    pg_get_expr pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result
    pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_object_address pg_get_partition_constraintdef
    pg_get_partkeydef pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
    pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role
    pg_identify_object pg_identify_object_as_address pg_index_column_has_property pg_index_has_property pg_indexam_has_property
    pg_input_error_info pg_input_is_valid pg_lsn pg_mcv_list_items pg_numa_available pg_opclass_is_visible pg_operator_is_visible
    pg_opfamily_is_visible pg_options_to_table pg_partition_root pg_relation_filenode pg_relation_filepath pg_relation_is_publishable
    pg_relation_is_updatable pg_replication_origin_oid pg_sequence_parameters pg_settings_get_flags pg_size_bytes pg_size_pretty
    pg_snapshot_xip pg_snapshot_xmax pg_snapshot_xmin pg_split_walfile_name pg_statistics_obj_is_visible pg_table_is_visible
    pg_tablespace_location pg_timezone_names pg_trigger_depth pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible
    pg_ts_template_is_visible pg_type_is_visible pg_typeof pg_visible_in_snapshot pg_wal_lsn_diff phraseto_tsquery pi plainto_tsquery
    point polygon popen position pow power querytree quote_ident quote_literal quote_nullable radians radius range_agg
    range_intersect_agg range_merge rank regclass regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope
    regr_sxx regr_sxy regr_syy repeat replace reverse right round row_number row_security_active row_to_json rpad rtrim
    satisfies_hash_partition scale schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema session_user set_bit set_byte
    set_masklen setweight sha224 sha256 sha384 sha512 shobj_description sign similar_escape similar_to_escape sin sind sinh slope
    split_part sqrt statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strip strpos substr
    substring sum system_user table_to_xml table_to_xml_and_xmlschema table_to_xmlschema tan tand tanh text textlen time timestamp
    timestamptz timetz timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb to_number to_oct to_regclass to_regcollation
    to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype to_regtypemod to_timestamp to_tsquery
    to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_debug ts_delete ts_filter ts_headline ts_lexize
    ts_parse ts_rank ts_rank_cd ts_token_type tsmultirange tsquery_phrase tsrange tsrange_subdiff tstzmultirange tstzrange
    tstzrange_subdiff tsvector_to_array txid_current_snapshot txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin
    txid_visible_in_snapshot unicode_assigned unicode_version unistr unnest upper upper_inc upper_inf uuid_extract_timestamp
    uuid_extract_version var_pop var_samp varbit varchar variance websearch_to_tsquery width width_bucket xid xml xml_is_well_formed
    xml_is_well_formed_content xml_is_well_formed_document xmlagg xmlcomment xmlexists xmltext xmlvalidate xpath xpath_exists`,
  harmless: `
    array_sample array_shuffle clock_timestamp current_query currtid2 gen_random_uuid inet_server_addr inet_server_port pg_collation_actual_version
    pg_database_size pg_get_wal_replay_pause_state pg_indexes_size pg_is_in_recovery pg_is_wal_replay_paused pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_partition_ancestors pg_partition_tree pg_postmaster_start_time pg_relation_size
    pg_sequence_last_value pg_sleep pg_sleep_for pg_sleep_until pg_table_size pg_tablespace_size pg_total_relation_size random random_normal
    timeofday uuidv4 uuidv7 version`,
  writes: `
    brin_desummarize_range brin_summarize_new_values brin_summarize_range gin_clean_pending_list lo_close lo_creat lo_create lo_export
    lo_from_bytea lo_get lo_import lo_lseek lo_lseek64 lo_open lo_put lo_tell lo_tell64 lo_truncate lo_truncate64 lo_unlink loread lowrite nextval
    pg_clear_attribute_stats pg_clear_relation_stats pg_copy_logical_replication_slot pg_copy_physical_replication_slot
    pg_create_logical_replication_slot pg_create_physical_replication_slot pg_create_restore_point pg_current_xact_id pg_drop_replication_slot
    pg_extension_config_dump pg_import_system_collations pg_log_standby_snapshot pg_logical_emit_message pg_logical_slot_get_binary_changes
    pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes pg_logical_slot_peek_changes pg_notify pg_replication_origin_advance
    pg_replication_origin_create pg_replication_origin_drop pg_replication_slot_advance pg_restore_attribute_stats pg_restore_relation_stats
    pg_switch_wal pg_sync_replication_slots setval txid_current`,
  session: `
    currval lastval pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
    pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_backend_pid pg_current_xact_id_if_assigned pg_cursor pg_export_snapshot
    pg_is_other_temp_schema pg_listening_channels pg_my_temp_schema pg_prepared_statement pg_replication_origin_progress
    pg_replication_origin_session_is_setup pg_replication_origin_session_progress pg_replication_origin_session_reset
    pg_replication_origin_session_setup pg_replication_origin_xact_reset pg_replication_origin_xact_setup pg_show_all_settings
    pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared set_config setseed
    txid_current_if_assigned`,
  server: `
    pg_available_wal_summaries pg_backup_start pg_backup_stop pg_blocking_pids pg_cancel_backend pg_conf_load_time pg_config
    pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system pg_current_logfile pg_get_aios pg_get_backend_memory_contexts
    pg_get_loaded_modules pg_get_replication_slots pg_get_shmem_allocations pg_get_shmem_allocations_numa pg_get_wait_events
    pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_hba_file_rules pg_ident_file_mappings pg_isolation_test_session_is_blocked
    pg_jit_available pg_lock_status pg_log_backend_memory_contexts pg_notification_queue_usage pg_prepared_xact pg_promote pg_read_binary_file
    pg_read_file pg_reload_conf pg_rotate_logfile pg_safe_snapshot_blocking_pids pg_show_all_file_settings pg_show_replication_origin_status
    pg_terminate_backend pg_wal_replay_pause pg_wal_replay_resume pg_wal_summary_contents`,
  primary: `
    pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_last_committed_xact pg_walfile_name pg_walfile_name_offset
    pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status txid_status`,
  volatile: `
    cursor_to_xml cursor_to_xmlschema query_to_xml query_to_xml_and_xmlschema query_to_xmlschema ts_rewrite ts_stat`,
};

function byName(): ReadonlyMap<string, BuiltinRole> {
  const roles = new Map<string, BuiltinRole>();
  for (const [role, names] of Object.entries(FUNCTIONS_BY_ROLE)) {
    for (const name of names.trim().split(/\s+/)) roles.set(name, role as BuiltinRole);
  }
  return roles;
}

const BUILTINS: ReadonlyMap<string, BuiltinRole> = byName();

/** The role of a function of pg_catalog; null when there is none of that name worth knowing. */
export function builtinRole(name: string): BuiltinRole | null {
  const role = BUILTINS.get(name);
  if (role) return role;
  // Statistics and files of the running server come in families that every release extends.
  return name.startsWith('pg_stat_') || name.startsWith('pg_ls_') ? 'server' : null;
}

const SERVER_RELATIONS: ReadonlySet<string> = new Set(
  `pg_aios pg_backend_memory_contexts pg_config pg_file_settings pg_hba_file_rules pg_ident_file_mappings pg_locks pg_prepared_xacts
   pg_replication_origin_status pg_replication_slots pg_shmem_allocations pg_shmem_allocations_numa pg_wait_events`.split(/\s+/),
);
const SESSION_RELATIONS: ReadonlySet<string> = new Set(['pg_cursors', 'pg_prepared_statements', 'pg_settings']);

/** Whether a system view tells of the running server or of the session, rather than of the data that all servers share. */
export function relationOwner(schema: string | null, name: string): 'server' | 'session' | null {
  if (schema !== null && /^pg_temp(_\d+)?$/.test(schema)) return 'session';
  if (schema !== null && schema !== 'pg_catalog') return null;
  if (SESSION_RELATIONS.has(name)) return 'session';
  return SERVER_RELATIONS.has(name) || name.startsWith('pg_stat_') || name.startsWith('pg_statio_') ? 'server' : null;
}
