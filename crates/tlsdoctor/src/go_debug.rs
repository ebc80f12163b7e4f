//! The GODEBUG settings that change what the go command's TLS offers and takes.

/// What GODEBUG says of TLS. The default is Go's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GoDebug {
    /// `tlsmlkem=0`: no post-quantum groups, and a small ClientHello.
    pub without_ml_kem: bool,
    /// `tlsrsakex=1`: key exchange with static RSA.
    pub static_rsa: bool,
    /// `rsa1024min=0`: RSA keys of any length.
    pub short_rsa_keys: bool,
    /// `x509negativeserial=1`: negative serial numbers.
    pub negative_serials: bool,
}

impl GoDebug {
    /// Reads the variable's value: `name=value` with commas between; the last word on a name holds.
    pub fn parse(value: &str) -> Self {
        let mut settings = Self::default();
        for setting in value.split(',') {
            match setting.split_once('=').unwrap_or((setting, "")) {
                ("tlsmlkem", value) => settings.without_ml_kem = value == "0",
                ("tlsrsakex", value) => settings.static_rsa = value == "1",
                ("rsa1024min", value) => settings.short_rsa_keys = value == "0",
                ("x509negativeserial", value) => settings.negative_serials = value == "1",
                _ => {}
            }
        }
        settings
    }
}
