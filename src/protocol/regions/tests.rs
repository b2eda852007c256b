use super::*;

fn overrides(region: &str, url: &str) -> Vec<(String, Url)> {
    vec![(region.to_owned(), Url::parse(url).unwrap())]
}

#[test]
fn every_built_in_region_has_its_host() {
    let count = REGIONS.iter().map(|(.., regions)| regions.split(' ').count()).sum::<usize>();
    assert_eq!(count, 31);
    for (suffix, _, regions) in REGIONS {
        for region in regions.split(' ') {
            let endpoint = Regions::new(Some(region), &[], &[]).unwrap().resolve(None).unwrap();
            assert_eq!(endpoint.url.as_str(), format!("https://dws.{region}.{suffix}/"));
            assert_eq!(endpoint.host, format!("dws.{region}.{suffix}"));
        }
    }
}

#[test]
fn only_regions_named_by_the_administrator_are_allowed() {
    let regions =
        Regions::new(Some("cn-north-4"), &["eu-west-101".to_owned()], &overrides("lab", "https://127.0.0.1:8443"))
            .unwrap();
    assert_eq!(regions.resolve(None).unwrap().region, "cn-north-4");
    assert_eq!(regions.resolve(Some("eu-west-101")).unwrap().region, "eu-west-101");
    assert_eq!(regions.resolve(Some("lab")).unwrap().host, "127.0.0.1:8443");
    let refused = regions.resolve(Some("cn-south-1")).unwrap_err().to_string();
    assert!(refused.contains("cn-north-4, eu-west-101, lab") && refused.contains("--allow-region"), "{refused}");
    let none = Regions::new(None, &[], &[]).unwrap().resolve(None).unwrap_err().to_string();
    assert!(none.contains("--region"), "{none}");
}

#[test]
fn invalid_settings_are_refused_by_kind_and_without_secrets() {
    let unknown = Regions::new(Some("mars-1"), &[], &[]).unwrap_err().to_string();
    assert!(unknown.starts_with("region \"mars-1\" is not known"), "{unknown}");
    for name in ["dws.example.com", "CN-NORTH-4", "a--b", "-a", "", "a/b"] {
        let error = Regions::new(Some(name), &[], &[]).unwrap_err().to_string();
        assert!(error.contains("is not a valid name"), "{error}");
    }
    for url in ["http://dws.example.com", "http://10.0.0.1", "http://169.254.169.254", "ftp://127.0.0.1"] {
        let error = Regions::new(None, &[], &overrides("lab", url)).unwrap_err();
        assert!(error.to_string().contains("must be https"), "{url}: {error}");
    }
    for url in ["https://u:p@a.example", "https://a.example/x", "https://a.example/?q", "https://a.example/#f"] {
        let error = Regions::new(None, &[], &overrides("lab", url)).unwrap_err();
        assert!(error.to_string().contains("must be a scheme and a host"), "{url}: {error}");
        assert!(!error.to_string().contains("u:p"));
    }
}

#[test]
fn plain_http_is_allowed_for_loopback_only() {
    for url in ["http://127.0.0.1:1", "http://127.8.9.1", "http://[::1]:9", "http://localhost:80"] {
        assert!(Regions::new(None, &[], &overrides("lab", url)).is_ok(), "{url}");
    }
}

#[test]
fn built_in_iam_uses_the_suffix_of_the_vendor_and_can_be_replaced() {
    let regions = |region| Regions::new(Some(region), &[], &[]).unwrap();
    for (region, host) in [
        ("cn-north-4", "iam.cn-north-4.myhuaweicloud.com"),
        ("cn-east-4", "iam.cn-east-4.myhuaweicloud.com"),
        ("tr-west-1", "iam.tr-west-1.myhuaweicloud.com"),
    ] {
        assert_eq!(regions(region).iam(region).unwrap().host, host);
    }
    let own = overrides("cn-north-4", "https://iam.example.com:8443");
    let regions = regions("cn-north-4").with_iam(&own).unwrap();
    assert_eq!(regions.iam("cn-north-4").unwrap().url.as_str(), "https://iam.example.com:8443/");
}

#[test]
fn unpublished_iam_is_not_derived_and_can_be_given() {
    for region in
        ["cn-north-12", "cn-south-4", "eu-west-101", "af-north-1", "ap-southeast-5", "cn-north-11", "cn-southwest-3"]
    {
        let regions = Regions::new(Some(region), &[], &[]).unwrap();
        assert_eq!(regions.iam(region), None);
        let given = regions.with_iam(&overrides(region, "https://iam.example.com")).unwrap();
        assert_eq!(given.iam(region).unwrap().host, "iam.example.com");
    }
}

#[test]
fn iam_is_not_derived_for_a_region_with_a_given_endpoint() {
    let regions = || Regions::new(None, &[], &overrides("cn-north-4", "https://dws.example.com")).unwrap();
    assert_eq!(regions().iam("cn-north-4"), None);
    let given = regions().with_iam(&overrides("cn-north-4", "https://iam.example.com")).unwrap();
    assert_eq!(given.iam("cn-north-4").unwrap().host, "iam.example.com");
}

#[test]
fn invalid_iam_endpoint_is_refused_with_the_name_of_its_flag() {
    let refused = |region, url| {
        let regions = Regions::new(Some("cn-north-4"), &[], &[]).unwrap();
        regions.with_iam(&overrides(region, url)).unwrap_err().to_string()
    };
    for (region, url, expected) in [
        ("cn-north-4", "http://iam.example.com", "--iam-endpoint cn-north-4=iam.example.com: must be https"),
        ("cn-north-4", "https://u:p@iam.example.com", "nothing else"),
        ("cn-nort-4", "https://iam.example.com", "region cn-nort-4 is not allowed here; allowed are: cn-north-4"),
    ] {
        let error = refused(region, url);
        assert!(error.contains(expected) && !error.contains("u:p"), "{error}");
    }
}
