//! Kryoptic as a PKCS#11 module, with OpenSSL 3.5 in it.
use kryoptic_lib::{fns::general::fn_get_function_list, pkcs11::*};

#[unsafe(no_mangle)]
pub extern "C" fn C_GetFunctionList(list: CK_FUNCTION_LIST_PTR_PTR) -> CK_RV {
    fn_get_function_list(list)
}
