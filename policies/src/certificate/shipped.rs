//! The profiles that come with the program, for a new authority to begin with.

/// File name and text of each document of `policies/certificates/`, in the order of the names.
pub const SHIPPED: [(&str, &str); 13] = [
    ("arc.toml", include_str!("../../certificates/arc.toml")),
    ("bureau-client.toml", include_str!("../../certificates/bureau-client.toml")),
    ("bureau-seal.toml", include_str!("../../certificates/bureau-seal.toml")),
    ("citizen.toml", include_str!("../../certificates/citizen.toml")),
    ("delivery-evidence.toml", include_str!("../../certificates/delivery-evidence.toml")),
    ("enterprise-signing.toml", include_str!("../../certificates/enterprise-signing.toml")),
    ("issuing.toml", include_str!("../../certificates/issuing.toml")),
    ("ocsp.toml", include_str!("../../certificates/ocsp.toml")),
    ("officer.toml", include_str!("../../certificates/officer.toml")),
    ("registrar.toml", include_str!("../../certificates/registrar.toml")),
    ("root.toml", include_str!("../../certificates/root.toml")),
    ("timestamp.toml", include_str!("../../certificates/timestamp.toml")),
    ("tls-server.toml", include_str!("../../certificates/tls-server.toml")),
];
