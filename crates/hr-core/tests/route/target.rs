//! The client's `model` field, case by case.

use crate::world::{member, model, pool};
use hr_core::pool::Pool;
use hr_core::route::{Profile, Target, target};

fn a_pool() -> Pool {
    let mut a = member("acme", vec![model("big", 1), model("Org/Mixed-Case", 3)], 1);
    let mut provider = (*a.provider).clone();
    provider.aliases = vec!["acme-ai".into()];
    a.provider = provider.into();
    a.embed_model = Some("embed-1".into());
    let mut b = member("other", vec![model("big", 1), model("acme/inner", 3), model("deep/er:free", 3)], 1);
    b.models.push(model("x:fast", 3));
    pool(vec![a, b])
}

fn profile(profile: Profile) -> (Target, Profile) {
    (Target::Profile(profile), profile)
}

fn prefer(id: &str) -> (Target, Profile) {
    (Target::Prefer(id.into()), Profile::Balanced)
}

fn pin(provider: &str, model: &str) -> (Target, Profile) {
    (Target::Pin { provider: provider.into(), model: model.into() }, Profile::Balanced)
}

#[test]
fn each_name_finds_its_target() {
    let mut pool = a_pool();
    pool.rules.router_model = "my-router".into();
    let cases = [
        ("hermes-router", profile(Profile::Balanced)),
        ("Hermes-Router:FAST", profile(Profile::Fast)),
        ("hermes-router:best", profile(Profile::Best)),
        ("hermes-router:frugal", profile(Profile::Frugal)),
        ("my-router", profile(Profile::Balanced)),
        ("my-router:best", profile(Profile::Best)),
        ("hermes-router:other", profile(Profile::Balanced)),
        ("big", prefer("big")),
        ("BIG", prefer("big")),
        ("embed-1", prefer("embed-1")),
        ("org/mixed-case", prefer("Org/Mixed-Case")),
        // The whole string goes before the split at the slash.
        ("acme/inner", prefer("acme/inner")),
        ("x:fast", prefer("x:fast")),
        ("acme/big", pin("acme", "big")),
        ("ACME/BIG", pin("acme", "big")),
        ("acme-ai/big", pin("acme", "big")),
        ("acme/Org/Mixed-Case", pin("acme", "Org/Mixed-Case")),
        ("other/deep/er:free", pin("other", "deep/er:free")),
        ("other/x:fast", pin("other", "x:fast")),
        ("acme/embed-1", pin("acme", "embed-1")),
        // A provider may have more models than are listed.
        ("acme/unheard-of", pin("acme", "unheard-of")),
        ("acme/unheard-of:fast", pin("acme", "unheard-of:fast")),
        // Nobody has these.
        ("acme/", profile(Profile::Balanced)),
        ("acme/not an id", profile(Profile::Balanced)),
        ("nobody/big", profile(Profile::Balanced)),
        ("gpt-4-of-some-app", profile(Profile::Balanced)),
        ("gpt-4-of-some-app:fast", profile(Profile::Fast)),
        ("big:fast", profile(Profile::Fast)),
        ("/", profile(Profile::Balanced)),
        ("", profile(Profile::Balanced)),
        ("hermes-routé", profile(Profile::Balanced)),
        ("ünï/cödé:fast", profile(Profile::Fast)),
    ];
    for (name, expected) in cases {
        assert_eq!(target(name, None, &pool), Ok(expected), "{name}");
    }
}

#[test]
fn the_header_goes_with_any_target_and_a_suffix_before_it() {
    let pool = a_pool();
    let read = |name, header| target(name, Some(header), &pool).unwrap();
    assert_eq!(read("hermes-router", "fast"), profile(Profile::Fast));
    assert_eq!(read("hermes-router", " Best "), profile(Profile::Best));
    assert_eq!(read("hermes-router", "agent"), profile(Profile::Balanced));
    assert_eq!(read("hermes-router:best", "fast"), profile(Profile::Best));
    assert_eq!(read("some-app", "frugal"), profile(Profile::Frugal));
    assert_eq!(read("big", "fast"), (Target::Prefer("big".into()), Profile::Fast));
    assert_eq!(read("acme/big", "best").1, Profile::Best);
}

#[test]
fn strict_names_refuse_what_nobody_knows() {
    let mut pool = a_pool();
    pool.rules.strict_models = true;
    for name in ["hermes-router", "hermes-router:fast", "big", "acme/big", "big:fast"] {
        assert!(target(name, None, &pool).is_ok(), "{name}");
    }
    for name in ["unknown", "unknown:fast", "acme/unknown", ""] {
        assert!(target(name, None, &pool).is_err(), "{name}");
    }
    let error = target("hermes-ruter", None, &pool).unwrap_err();
    let words = "the model `hermes-ruter` is not known (did you mean `hermes-router`?)";
    assert_eq!(error.to_string(), words);
}
