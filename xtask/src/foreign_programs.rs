//! Which Debian programs are taken out of their packages, and what proves that they are there.

/// Programs that are taken out of their packages.
#[derive(Debug)]
pub(crate) struct Program {
    /// The directory below `target/foreign`.
    pub(crate) name: &'static str,
    /// Where Debian's release shows in the names: `{}` in `packages` and `links` stands for it.
    pub(crate) release: Option<Release>,
    /// The Debian packages.
    pub(crate) packages: &'static [&'static str],
    /// Programs and modules that must be there afterwards, with all of their libraries.
    pub(crate) files: &'static [&'static str],
    /// What else must be there.
    pub(crate) others: &'static [&'static str],
    /// Names that hold for every release, and what they point to.
    pub(crate) links: &'static [(&'static str, &'static str)],
    /// Whether a test installs the packages, in a root of its own, and wants them as they came.
    pub(crate) are_packages_wanted: bool,
}

/// How a release is found: `package` depends on one whose name is `before`, the release, `after`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release {
    /// The package without a release in its name.
    pub(crate) package: &'static str,
    /// What stands in front of the release in the other's name.
    pub(crate) before: &'static str,
    /// What stands behind it.
    pub(crate) after: &'static str,
}

/// All of them.
pub(crate) const PROGRAMS: [Program; 8] = [
    Program {
        name: "coturn",
        release: None,
        packages: &["coturn"],
        files: &[
            "usr/bin/turnutils_uclient",
            "usr/bin/turnutils_peer",
            "usr/bin/turnutils_stunclient",
            "usr/bin/turnserver",
            "usr/bin/turnadmin",
        ],
        others: &["usr/share/coturn/schema.sql"],
        links: &[],
        are_packages_wanted: true,
    },
    Program {
        name: "nginx",
        release: None,
        packages: &["nginx", "nginx-common", "libnginx-mod-stream"],
        files: &["usr/sbin/nginx", "usr/lib/nginx/modules/ngx_stream_module.so"],
        others: &["etc/nginx/mime.types"],
        links: &[],
        are_packages_wanted: false,
    },
    Program {
        name: "prometheus",
        release: None,
        packages: &["prometheus"],
        files: &["usr/bin/promtool"],
        others: &[],
        links: &[],
        are_packages_wanted: false,
    },
    Program {
        name: "postgresql",
        release: Some(Release { package: "postgresql", before: "postgresql-", after: "" }),
        packages: &["postgresql-{}", "postgresql-client-{}"],
        files: &["bin/postgres", "bin/initdb", "bin/pg_ctl", "bin/psql"],
        others: &[],
        links: &[("bin", "usr/lib/postgresql/{}/bin")],
        are_packages_wanted: false,
    },
    Program {
        name: "mariadb",
        release: None,
        packages: &["mariadb-server-core", "mariadb-client-core"],
        files: &["usr/sbin/mariadbd", "usr/bin/mariadb", "usr/bin/my_print_defaults"],
        others: &["usr/bin/mariadb-install-db", "usr/share/mysql/mysql_system_tables.sql"],
        links: &[],
        are_packages_wanted: false,
    },
    Program {
        name: "redis",
        release: None,
        packages: &["redis-server", "redis-tools"],
        files: &["usr/bin/redis-server", "usr/bin/redis-cli"],
        others: &[],
        links: &[],
        are_packages_wanted: false,
    },
    Program {
        name: "prosody",
        release: None,
        packages: &[
            "prosody",
            "lua5.4",
            "lua-expat",
            "lua-filesystem",
            "lua-sec",
            "lua-socket",
            "lua-unbound",
        ],
        files: &[
            "usr/bin/lua5.4",
            "usr/lib/prosody/util/hashes.so",
            "usr/lib/prosody/util/encodings.so",
            "lua/lxp.so",
            "lua/lfs.so",
            "lua/lunbound.so",
            "lua/ssl.so",
            "lua/socket/core.so",
        ],
        others: &["usr/bin/prosody", "usr/lib/prosody/modules/mod_external_services.lua"],
        // Which architecture's name Debian has in it, no test asks.
        links: &[("lua", "usr/lib/{arch}/lua/5.4")],
        are_packages_wanted: false,
    },
    Program {
        name: "php",
        release: Some(Release { package: "php-cli", before: "php", after: "-cli" }),
        packages: &["php{}-cli"],
        files: &["usr/bin/php"],
        others: &[],
        links: &[("usr/bin/php", "usr/bin/php{}")],
        are_packages_wanted: false,
    },
];
