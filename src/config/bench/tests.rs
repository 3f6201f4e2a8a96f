use super::measures::{read_distribution, read_mix, read_share, read_value_size};

#[test]
fn a_mix_is_read_as_it_is_written() {
    for text in ["put=90,get=10", "mget=1", "put=0,out=1000000", "putnr=1,get=2,put=3"] {
        assert_eq!(read_mix(text).expect(text).to_string(), text);
    }
    for text in [
        "",
        "put",
        "put=",
        "put=1,",
        "put=-1",
        "put=1.5",
        "put=1000001",
        "put=0",
        "put=1,put=2",
        "PUT=1",
        "vanish=1",
        "put=1 get=1",
        " put=1",
    ] {
        assert_eq!(read_mix(text), None, "{text:?}");
    }
}

#[test]
fn a_distribution_is_read_as_it_is_written() {
    for text in ["uniform", "zipf:0.99", "zipf:2"] {
        assert_eq!(read_distribution(text).expect(text).to_string(), text);
    }
    assert_eq!(read_distribution("zipf"), read_distribution("zipf:0.99"));
    for text in [
        "", "zipf:", "zipf:0", "zipf:-1", "zipf:inf", "zipf:1e1", "zipf:11", "zipf:NaN", "normal",
    ] {
        assert_eq!(read_distribution(text), None, "{text:?}");
    }
}

#[test]
fn sizes_and_shares_keep_to_their_ranges() {
    assert_eq!(read_value_size("1KiB"), Some(1024..=1024));
    assert_eq!(read_value_size("32-16MiB"), Some(32..=16 << 20));
    for text in ["", "31", "16777217", "64-32", "32-", "-32", "1-2-3"] {
        assert_eq!(read_value_size(text), None, "{text:?}");
    }
    assert_eq!(read_share("0.25"), Some(0.25));
    assert_eq!(read_share("25%"), Some(0.25));
    assert_eq!(read_share("1"), Some(1.0));
    for text in ["", "%", "-0.1", "1.1", "101%", "NaN", ".5", "5.", "1e-1"] {
        assert_eq!(read_share(text), None, "{text:?}");
    }
}
