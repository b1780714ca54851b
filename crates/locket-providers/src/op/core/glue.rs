//! What the imports of 1Password's core 0.5.0 do. Made by `cargo xtask op-core` out of the core's own JavaScript:
//! not to be edited.

use super::operation::{Glue, Import, Operation};

pub(super) static GLUE: Glue = Glue {
    externrefs: "__wbindgen_export_2",
    functions: "__wbindgen_export_5",
    promise: "closure3973_externref_shim",
    imports: &[
        Import {
            name: "__wbg_abort_410ec47a64ac6117",
            operation: Operation::Call("abort", 2),
            catches: false,
        },
        Import {
            name: "__wbg_abort_775ef1d17fc65868",
            operation: Operation::Call("abort", 1),
            catches: false,
        },
        Import {
            name: "__wbg_append_8c7dd8d641a5f01b",
            operation: Operation::Call("append", 5),
            catches: true,
        },
        Import {
            name: "__wbg_arrayBuffer_d1b44c4390db422f",
            operation: Operation::Call("arrayBuffer", 1),
            catches: true,
        },
        Import {
            name: "__wbg_buffer_609cc3eee51ed158",
            operation: Operation::Get("buffer"),
            catches: false,
        },
        Import {
            name: "__wbg_call_672a4d21634d4a24",
            operation: Operation::Call("call", 2),
            catches: true,
        },
        Import {
            name: "__wbg_call_7cccdd69e0791ae2",
            operation: Operation::Call("call", 3),
            catches: true,
        },
        Import {
            name: "__wbg_clearTimeout_42d9ccd50822fd3a",
            operation: Operation::Call("clearTimeout", 1),
            catches: false,
        },
        Import {
            name: "__wbg_crypto_86f2631e91b51511",
            operation: Operation::Get("crypto"),
            catches: false,
        },
        Import {
            name: "__wbg_done_769e5ede4b31c67b",
            operation: Operation::Get("done"),
            catches: false,
        },
        Import {
            name: "__wbg_fetch_509096533071c657",
            operation: Operation::Call("fetch", 2),
            catches: false,
        },
        Import {
            name: "__wbg_fetch_6bbc32f991730587",
            operation: Operation::Call("fetch", 1),
            catches: false,
        },
        Import {
            name: "__wbg_getFullYear_17d3c9e4db748eb7",
            operation: Operation::Call("getFullYear", 1),
            catches: false,
        },
        Import {
            name: "__wbg_getRandomValues_1c61fac11405ffdc",
            operation: Operation::Call("getRandomValues", 2),
            catches: true,
        },
        Import {
            name: "__wbg_getRandomValues_b3f15fcbfabb0f8b",
            operation: Operation::Call("getRandomValues", 2),
            catches: true,
        },
        Import {
            name: "__wbg_getTimezoneOffset_6b5752021c499c47",
            operation: Operation::Call("getTimezoneOffset", 1),
            catches: false,
        },
        Import {
            name: "__wbg_get_67b2ba62fc30de12",
            operation: Operation::Call("get", 2),
            catches: true,
        },
        Import {
            name: "__wbg_has_a5ea9117f258a0ec",
            operation: Operation::Call("has", 2),
            catches: true,
        },
        Import {
            name: "__wbg_headers_9cb51cfd2ac780a4",
            operation: Operation::Get("headers"),
            catches: false,
        },
        Import {
            name: "__wbg_instanceof_Response_f2cc20d9f7dfd644",
            operation: Operation::Call("instanceof_Response", 1),
            catches: false,
        },
        Import {
            name: "__wbg_instanceof_Window_def73ea0955fc569",
            operation: Operation::Call("instanceof_Window", 1),
            catches: false,
        },
        Import {
            name: "__wbg_instanceof_WorkerGlobalScope_dbdbdea7e3b56493",
            operation: Operation::Call("instanceof_WorkerGlobalScope", 1),
            catches: false,
        },
        Import {
            name: "__wbg_iterator_9a24c88df860dc65",
            operation: Operation::Call("iterator", 0),
            catches: false,
        },
        Import {
            name: "__wbg_languages_2420955220685766",
            operation: Operation::Get("languages"),
            catches: false,
        },
        Import {
            name: "__wbg_languages_d8dad509faf757df",
            operation: Operation::Get("languages"),
            catches: false,
        },
        Import {
            name: "__wbg_length_a446193dc22c12f8",
            operation: Operation::Get("length"),
            catches: false,
        },
        Import {
            name: "__wbg_msCrypto_d562bbe83e0d4b91",
            operation: Operation::Get("msCrypto"),
            catches: false,
        },
        Import {
            name: "__wbg_navigator_0a9bf1120e24fec2",
            operation: Operation::Get("navigator"),
            catches: false,
        },
        Import {
            name: "__wbg_navigator_1577371c070c8947",
            operation: Operation::Get("navigator"),
            catches: false,
        },
        Import {
            name: "__wbg_new0_f788a2397c7ca929",
            operation: Operation::New("Date"),
            catches: false,
        },
        Import {
            name: "__wbg_new_018dcc2d6c8c2f6a",
            operation: Operation::New("Headers"),
            catches: true,
        },
        Import {
            name: "__wbg_new_23a2665fac83c611",
            operation: Operation::Call("new", 2),
            catches: false,
        },
        Import {
            name: "__wbg_new_31a97dac4f10fab7",
            operation: Operation::New("Date"),
            catches: false,
        },
        Import {
            name: "__wbg_new_405e22f390576ce2",
            operation: Operation::New("Object"),
            catches: false,
        },
        Import {
            name: "__wbg_new_a12002a7f91c75be",
            operation: Operation::New("Uint8Array"),
            catches: false,
        },
        Import {
            name: "__wbg_new_e25e5aab09ff45db",
            operation: Operation::New("AbortController"),
            catches: true,
        },
        Import {
            name: "__wbg_newnoargs_105ed471475aaf50",
            operation: Operation::New("Function"),
            catches: false,
        },
        Import {
            name: "__wbg_newwithbyteoffsetandlength_d97e637ebe145a9a",
            operation: Operation::New("Uint8Array"),
            catches: false,
        },
        Import {
            name: "__wbg_newwithlength_a381634e90c276d4",
            operation: Operation::New("Uint8Array"),
            catches: false,
        },
        Import {
            name: "__wbg_newwithstrandinit_06c535e0a867c635",
            operation: Operation::New("Request"),
            catches: true,
        },
        Import {
            name: "__wbg_next_25feadfc0913fea9",
            operation: Operation::Get("next"),
            catches: false,
        },
        Import {
            name: "__wbg_next_6574e1a8a62d1055",
            operation: Operation::Call("next", 1),
            catches: true,
        },
        Import {
            name: "__wbg_node_e1f24f89a7336c2e",
            operation: Operation::Get("node"),
            catches: false,
        },
        Import {
            name: "__wbg_now_807e54c39636c349",
            operation: Operation::Call("now", 0),
            catches: false,
        },
        Import {
            name: "__wbg_now_d18023d54d4e5500",
            operation: Operation::Call("now", 1),
            catches: false,
        },
        Import {
            name: "__wbg_parse_def2e24ef1252aff",
            operation: Operation::Call("parse", 2),
            catches: true,
        },
        Import {
            name: "__wbg_process_3975fd6c72f520aa",
            operation: Operation::Get("process"),
            catches: false,
        },
        Import {
            name: "__wbg_queueMicrotask_97d92b4fcc8a61c5",
            operation: Operation::Call("queueMicrotask", 1),
            catches: false,
        },
        Import {
            name: "__wbg_queueMicrotask_d3219def82552485",
            operation: Operation::Get("queueMicrotask"),
            catches: false,
        },
        Import {
            name: "__wbg_randomFillSync_f8c153b79f285817",
            operation: Operation::Call("randomFillSync", 2),
            catches: true,
        },
        Import {
            name: "__wbg_require_b74f47fc2d022fd6",
            operation: Operation::Call("require", 0),
            catches: true,
        },
        Import {
            name: "__wbg_resolve_4851785c9c5f573d",
            operation: Operation::Call("resolve", 1),
            catches: false,
        },
        Import {
            name: "__wbg_self_b29ea9f89ecb0567",
            operation: Operation::Call("self", 0),
            catches: true,
        },
        Import {
            name: "__wbg_setTimeout_4ec014681668a581",
            operation: Operation::Call("setTimeout", 2),
            catches: false,
        },
        Import {
            name: "__wbg_set_65595bdd868b3009",
            operation: Operation::Call("set", 3),
            catches: false,
        },
        Import {
            name: "__wbg_setbody_5923b78a95eedf29",
            operation: Operation::Set("body"),
            catches: false,
        },
        Import {
            name: "__wbg_setcache_12f17c3a980650e4",
            operation: Operation::SetWord("cache"),
            catches: false,
        },
        Import {
            name: "__wbg_setcredentials_c3a22f1cd105a2c6",
            operation: Operation::SetWord("credentials"),
            catches: false,
        },
        Import {
            name: "__wbg_setheaders_834c0bdb6a8949ad",
            operation: Operation::Set("headers"),
            catches: false,
        },
        Import {
            name: "__wbg_setmethod_3c5280fe5d890842",
            operation: Operation::SetText("method"),
            catches: false,
        },
        Import {
            name: "__wbg_setmode_5dc300b865044b65",
            operation: Operation::SetWord("mode"),
            catches: false,
        },
        Import {
            name: "__wbg_setsignal_75b21ef3a81de905",
            operation: Operation::Set("signal"),
            catches: false,
        },
        Import {
            name: "__wbg_signal_aaf9ad74119f20a4",
            operation: Operation::Get("signal"),
            catches: false,
        },
        Import {
            name: "__wbg_static_accessor_GLOBAL_88a902d13a557d07",
            operation: Operation::Call("static_accessor_GLOBAL", 0),
            catches: false,
        },
        Import {
            name: "__wbg_static_accessor_GLOBAL_THIS_56578be7e9f832b0",
            operation: Operation::Call("static_accessor_GLOBAL_THIS", 0),
            catches: false,
        },
        Import {
            name: "__wbg_static_accessor_SELF_37c5d418e4bf5819",
            operation: Operation::Call("static_accessor_SELF", 0),
            catches: false,
        },
        Import {
            name: "__wbg_static_accessor_WINDOW_5de37043a91a9c40",
            operation: Operation::Call("static_accessor_WINDOW", 0),
            catches: false,
        },
        Import {
            name: "__wbg_static_accessor_performance_da77b3a901a72934",
            operation: Operation::Call("static_accessor_performance", 0),
            catches: false,
        },
        Import {
            name: "__wbg_status_f6360336ca686bf0",
            operation: Operation::Get("status"),
            catches: false,
        },
        Import {
            name: "__wbg_stringify_f7ed6987935b4a24",
            operation: Operation::Call("stringify", 1),
            catches: true,
        },
        Import {
            name: "__wbg_subarray_aa9065fa9dc5df96",
            operation: Operation::Call("subarray", 3),
            catches: false,
        },
        Import {
            name: "__wbg_then_44b73946d2fb3e7d",
            operation: Operation::Call("then", 2),
            catches: false,
        },
        Import {
            name: "__wbg_then_48b406749878a531",
            operation: Operation::Call("then", 3),
            catches: false,
        },
        Import {
            name: "__wbg_toLocaleDateString_e5424994746e8415",
            operation: Operation::Call("toLocaleDateString", 4),
            catches: false,
        },
        Import {
            name: "__wbg_url_ae10c34ca209681d",
            operation: Operation::Call("url", 2),
            catches: false,
        },
        Import {
            name: "__wbg_value_cd1ffa7b1ab794f1",
            operation: Operation::Get("value"),
            catches: false,
        },
        Import {
            name: "__wbg_values_99f7a68c7f313d66",
            operation: Operation::Call("values", 1),
            catches: false,
        },
        Import {
            name: "__wbg_versions_4e31226f5e8dc909",
            operation: Operation::Get("versions"),
            catches: false,
        },
        Import {
            name: "__wbg_window_aa5515e600e96252",
            operation: Operation::Call("window", 0),
            catches: true,
        },
        Import {
            name: "__wbindgen_cb_drop",
            operation: Operation::Call("__wbindgen_cb_drop", 1),
            catches: false,
        },
        Import {
            name: "__wbindgen_closure_wrapper13816",
            operation: Operation::Closure {
                destructor: 3841,
                shim: "_dyn_core__ops__function__FnMut_____Output___R_as_wasm_bindgen__closure__WasmClosure___describe__invoke__ha87580c8ddcf1766",
            },
            catches: false,
        },
        Import {
            name: "__wbindgen_closure_wrapper13863",
            operation: Operation::Closure {
                destructor: 3863,
                shim: "closure3862_externref_shim",
            },
            catches: false,
        },
        Import {
            name: "__wbindgen_debug_string",
            operation: Operation::Call("__wbindgen_debug_string", 2),
            catches: false,
        },
        Import {
            name: "__wbindgen_init_externref_table",
            operation: Operation::Call("__wbindgen_init_externref_table", 0),
            catches: false,
        },
        Import {
            name: "__wbindgen_is_function",
            operation: Operation::Call("__wbindgen_is_function", 1),
            catches: false,
        },
        Import {
            name: "__wbindgen_is_object",
            operation: Operation::Call("__wbindgen_is_object", 1),
            catches: false,
        },
        Import {
            name: "__wbindgen_is_string",
            operation: Operation::Call("__wbindgen_is_string", 1),
            catches: false,
        },
        Import {
            name: "__wbindgen_is_undefined",
            operation: Operation::Call("__wbindgen_is_undefined", 1),
            catches: false,
        },
        Import {
            name: "__wbindgen_memory",
            operation: Operation::Call("__wbindgen_memory", 0),
            catches: false,
        },
        Import {
            name: "__wbindgen_number_new",
            operation: Operation::Call("__wbindgen_number_new", 1),
            catches: false,
        },
        Import {
            name: "__wbindgen_string_get",
            operation: Operation::Call("__wbindgen_string_get", 2),
            catches: false,
        },
        Import {
            name: "__wbindgen_string_new",
            operation: Operation::Call("__wbindgen_string_new", 2),
            catches: false,
        },
        Import {
            name: "__wbindgen_throw",
            operation: Operation::Call("__wbindgen_throw", 2),
            catches: false,
        },
    ],
};
