//! Certificate policies of a chain (RFC 5280, 6.1, as RFC 9618 changes it).
//!
//! Go asks for no policy itself, so the only question is whether some certificate demands that *a*
//! policy holds all the way, and whether one does. For that the set of policies that may still hold at
//! each step is enough; the graph that RFC 9618 describes tells the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::certificate::Certificate;

/// 2.5.29.32.0, encoded.
const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];

pub(super) fn are_valid(chain: &[Arc<Certificate>]) -> bool {
    // Above the trust anchor nothing is demanded.
    let Some((_, below_anchor)) = chain.split_last().filter(|(_, rest)| !rest.is_empty()) else {
        return true;
    };
    let beyond = u64::try_from(below_anchor.len()).map_or(u64::MAX, |count| count + 1);
    let (mut explicit, mut mapping, mut any) = (beyond, beyond, beyond);
    let mut expected: Option<BTreeSet<&[u8]>> = Some(BTreeSet::from([ANY]));
    for (index, certificate) in below_anchor.iter().enumerate().rev() {
        let policies = &certificate.policies;
        if policies.identifiers.is_empty() {
            expected = None;
        }
        if explicit == 0 && expected.is_none() {
            return false;
        }
        let self_issued = certificate.is_self_issued();
        if let Some(before) = expected.take() {
            let mut now: BTreeSet<&[u8]> = policies
                .identifiers
                .iter()
                .map(Vec::as_slice)
                .filter(|policy| *policy != ANY)
                .filter(|policy| before.contains(policy) || before.contains(ANY))
                .collect();
            let says_any = policies.identifiers.iter().any(|policy| policy == ANY);
            if says_any && (any > 0 || index != 0 && self_issued) {
                now.extend(before);
            }
            if index != 0 && !policies.mappings.is_empty() {
                let mapped = map(certificate, &mut now, mapping > 0);
                if !mapped {
                    return false;
                }
            }
            expected = Some(now);
        }
        if index != 0 {
            if !self_issued {
                explicit = explicit.saturating_sub(1);
                mapping = mapping.saturating_sub(1);
                any = any.saturating_sub(1);
            }
            explicit = policies
                .require_explicit
                .map_or(explicit, |it| it.min(explicit));
            mapping = policies
                .inhibit_mapping
                .map_or(mapping, |it| it.min(mapping));
            any = policies.inhibit_any.map_or(any, |it| it.min(any));
        }
    }
    explicit = explicit.saturating_sub(1);
    if below_anchor
        .first()
        .is_some_and(|leaf| leaf.policies.require_explicit == Some(0))
    {
        explicit = 0;
    }
    explicit > 0 || expected.is_some_and(|policies| !policies.is_empty())
}

/// Replaces policies of the issuer's domain by those of the subject's. False if the mapping itself is
/// not allowed.
fn map<'a>(
    certificate: &'a Certificate,
    expected: &mut BTreeSet<&'a [u8]>,
    is_allowed: bool,
) -> bool {
    let mappings = &certificate.policies.mappings;
    if is_allowed {
        if mappings.iter().any(|(from, to)| from == ANY || to == ANY) {
            return false;
        }
        let before = expected.clone();
        let applies = |from: &Vec<u8>| before.contains(from.as_slice()) || before.contains(ANY);
        for (from, _) in mappings {
            expected.remove(from.as_slice());
        }
        let new = mappings.iter().filter(|(from, _)| applies(from));
        expected.extend(new.map(|(_, to)| to.as_slice()));
    } else {
        for (from, _) in mappings {
            expected.remove(from.as_slice());
        }
    }
    true
}
