//! Whether a client takes its answer compressed (RFC 9110 §12.5.3).

/// Whether an `Accept-Encoding` header takes gzip.
pub(super) fn accepts_gzip(header: &str) -> bool {
    let weight = |coding: &str| {
        header
            .split(',')
            .filter_map(|member| {
                let mut pieces = member.split(';').map(str::trim);
                let named = pieces.next()?;
                named.eq_ignore_ascii_case(coding).then(|| pieces.all(|parameter| !is_zero(parameter)))
            })
            .reduce(|one, other| one || other)
    };
    weight("gzip").or_else(|| weight("x-gzip")).or_else(|| weight("*")).unwrap_or(false)
}

/// Whether a parameter says that the coding is not taken.
fn is_zero(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send() {
        for header in [
            "gzip, deflate",
            "gzip, deflate, zstd",
            "zstd,gzip,deflate",
            "GZIP;q=0.5",
            "*",
            "deflate, *;q=0.1",
            "identity, x-gzip",
        ] {
            assert!(accepts_gzip(header), "{header}");
        }
        for header in ["", "identity", "gzip;q=0", "gzip; q=0.000, *", "deflate", "*;q=0", "gzipped"] {
            assert!(!accepts_gzip(header), "{header}");
        }
    }
}
