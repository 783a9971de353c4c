"""Coefficients of the polynomials, lowest first, as `derive.py` prints them, with errors before rounding."""

from __future__ import annotations

_TABLE = {
    # exp, f64: error 2^-58.0
    ("exp", 64): """
        0x1.000000000000cp-1 0x1.5555555555561p-3 0x1.555555554ff97p-5 0x1.111111110d6c9p-7
        0x1.6c16c185c9fbbp-10 0x1.a01a01bab3556p-13 0x1.a0199632454d9p-16 0x1.71dde02c5040bp-19
        0x1.28b0a64ad6e73p-22 0x1.af84ff2024f09p-26
    """,
    # exp, f32: error 2^-28.2
    ("exp", 32): """
        0x1.000000p-1 0x1.55548ep-3 0x1.55545cp-5 0x1.123be0p-7
        0x1.6db57cp-10
    """,
    # exp_8, f64: error 2^-58.3
    ("exp_8", 64): """
        0x1.0000000000110p-1 0x1.5555555555661p-3 0x1.55555547ec21dp-5 0x1.11111107c6570p-7
        0x1.6c1cc414bc075p-10 0x1.a0207c08c931fp-13
    """,
    # exp_16, f32: error 2^-29.2
    ("exp_16", 32): """
        0x1.000220p-1 0x1.555764p-3
    """,
    # sinh, f64: error 2^-61.7
    ("sinh", 64): """
        0x1.5555555555559p-3 0x1.111111110f682p-7 0x1.a01a01aff9bd9p-13 0x1.71ddf8190a589p-19
        0x1.af5f2fe5355f5p-26
    """,
    # sinh, f32: error 2^-37.5
    ("sinh", 32): """
        0x1.555556p-3 0x1.1110b2p-7 0x1.a17092p-13
    """,
    # cosh, f64: error 2^-58.0
    ("cosh", 64): """
        0x1.000000000000cp-1 0x1.555555554fefep-5 0x1.6c16c185e4001p-10 0x1.a01995f7cf483p-16
        0x1.28b0d4cea3d77p-22
    """,
    # cosh, f32: error 2^-34.3
    ("cosh", 32): """
        0x1.000000p-1 0x1.55547ep-5 0x1.6d9844p-10
    """,
    # log, f64: error 2^-56.6
    ("log", 64): """
        0x1.555555555552ep-2 -0x1.0000000000972p-2 0x1.99999999a2a9cp-3 -0x1.555555540b59ap-3
        0x1.2492491f34d59p-3 -0x1.0000008608ec9p-3 0x1.c71c74d52c6dcp-4 -0x1.999961ea1686ap-4
        0x1.745c9924449eep-4 -0x1.555c0a5e9dfecp-4 0x1.3b2028f71061ep-4 -0x1.2413ac9fec0fdp-4
        0x1.104913671410cp-4 -0x1.05c62273352bep-4 0x1.f1c0bf5e31bf7p-5 -0x1.76a4d433a828ap-5
        0x1.4d5b410b2503bp-5 -0x1.6149bf95b425dp-4 0x1.6429f2a55fe1ep-4
    """,
    # log, f32: error 2^-27.6
    ("log", 32): """
        0x1.55550cp-2 -0x1.fffe5ep-3 0x1.99ce42p-3 -0x1.55b7e2p-3
        0x1.1ef18cp-3 -0x1.f03c48p-4 0x1.1df3aap-3 -0x1.0e2ac8p-3
    """,
    # atanh, f64: error 2^-66.2
    ("atanh", 64): """
        0x1.9999999999b40p-3 0x1.2492492455e27p-3 0x1.c71c7230446dbp-4 0x1.745ce8dd07814p-4
        0x1.3b1f1d16f896cp-4 0x1.0f7b4cba7163dp-4 0x1.0e6ec408a1ea2p-4
    """,
    # atanh, f32: error 2^-44.2
    ("atanh", 32): """
        0x1.999998p-3 0x1.24937ap-3 0x1.c6571ap-4 0x1.8edb32p-4
    """,
    # sin, f64: error 2^-58.0
    ("sin", 64): """
        -0x1.5555555555549p-3 0x1.111111110f869p-7 -0x1.a01a019c0f161p-13 0x1.71de3575475d1p-19
        -0x1.ae5e6424935f9p-26 0x1.5d925a495118ep-33
    """,
    # sin, f32: error 2^-28.0
    ("sin", 32): """
        -0x1.555546p-3 0x1.11075cp-7 -0x1.994cf0p-13
    """,
    # cos, f64: error 2^-64.2
    ("cos", 64): """
        0x1.555555555554cp-5 -0x1.6c16c16c15165p-10 0x1.a01a019caf263p-16 -0x1.27e4f807f67d9p-22
        0x1.1ee9ea805dcf9p-29 -0x1.8fadd9999812cp-37
    """,
    # cos, f32: error 2^-33.3
    ("cos", 32): """
        0x1.55554ap-5 -0x1.6c0c86p-10 0x1.9a00b8p-16
    """,
    # sinc, f64: error 2^-62.0
    ("sinc", 64): """
        -0x1.a51a6625307d3p+0 0x1.9f9cb402bc402p-1 -0x1.86a8e4720919ep-3 0x1.ac6805cc1dab4p-6
        -0x1.3381697edbe4ap-9 0x1.37469b0d87680p-13 -0x1.d3e4dcd7ccef1p-18 0x1.0729be6cfd38ap-22
    """,
    # sinc, f32: error 2^-27.6
    ("sinc", 32): """
        -0x1.a51a5cp+0 0x1.9f9992p-1 -0x1.8610bcp-3 0x1.9592e2p-6
    """,
    # asin, f64: error 2^-59.8
    ("asin", 64): """
        0x1.5555555555578p-3 0x1.333333332df08p-4 0x1.6db6db722be7dp-5 0x1.f1c71a8b73701p-6
        0x1.6e8bdfea749ccp-6 0x1.1c49ddc63df00p-6 0x1.ca21490a8d9ffp-7 0x1.75776c0a57b76p-7
        0x1.618b57c347901p-7 0x1.e15375e99e4a1p-9 0x1.6503fa466bbc8p-6 -0x1.59f8cd28d9401p-6
        0x1.0be4f985a8097p-5
    """,
    # asin, f32: error 2^-27.6
    ("asin", 32): """
        0x1.5555cap-3 0x1.330140p-4 0x1.748e36p-5 0x1.8b8d40p-6
        0x1.59ef2cp-5
    """,
    # atan, f64: error 2^-59.5
    ("atan", 64): """
        -0x1.555555555553dp-2 0x1.9999999995865p-3 -0x1.24924922ada4ap-3 0x1.c71c70e633f33p-4
        -0x1.745cf8e021412p-4 0x1.3b11194abff98p-4 -0x1.10ebb930230a7p-4 0x1.df0f45978dc54p-5
        -0x1.9cd249d6102cbp-5 0x1.37d3977cf06bcp-5 -0x1.2563dd6cd205ap-6
    """,
    # atan, f32: error 2^-30.5
    ("atan", 32): """
        -0x1.55554ap-2 0x1.9991a6p-3 -0x1.23b632p-3 0x1.b1f9ecp-4
        -0x1.f22a5ap-5
    """,
    # cbrt, f64: error 2^-17.2
    ("cbrt", 64): """
        0x1.1f8d35d21ad23p+1 -0x1.fb5fe3b291d42p+1 0x1.945493d75b990p+2 -0x1.8603458e67483p+2
        0x1.9894bcf4fc39bp+1 -0x1.659388d117dd2p-1
    """,
    # cbrt, f32: error 2^-14.5
    ("cbrt", 32): """
        0x1.0daed0p+1 -0x1.7c57e2p+1 0x1.c4e35cp+1 -0x1.214752p+1
        0x1.2c39b8p-1
    """,
    # erf, f64: error 2^-56.9
    ("erf", 64): """
        0x1.06eba8214db68p-3 -0x1.812746b0379c1p-2 0x1.ce2f21a040fd5p-4 -0x1.b82ce312050f7p-6
        0x1.565bccfa73ee0p-8 -0x1.c02db06ce4a47p-11 0x1.f9a2bedd023c0p-14 -0x1.f4ca8b3804d89p-17
        0x1.b9821bb112607p-20 -0x1.5c148ad4257fdp-23 0x1.d773f5a6d7913p-27 -0x1.acad456e239dep-31
    """,
    # erf, f32: error 2^-29.6
    ("erf", 32): """
        0x1.06eba8p-3 -0x1.81273ep-2 0x1.ce2d1ep-4 -0x1.b7fb86p-6
        0x1.541862p-8 -0x1.a47978p-11 0x1.4ac072p-14
    """,
    # erfc, f64: error 2^-59.4
    ("erfc", 64): """
        0x1.3ba5916e9fd7fp+0 -0x1.1df1ad154a28ep-3 0x1.f7f5df66fd6d5p-7 0x1.16ecefcfa530fp-4
        -0x1.9ddb23c3e8a97p-4 0x1.7fee004e13759p-4 -0x1.0fb06dfe51a0cp-4 0x1.3079edf65e6d7p-5
        -0x1.09623883ac993p-6 0x1.49c672905fd57p-8 -0x1.8d4a9af1f8d0ep-11 -0x1.a1df2c7cccd22p-13
        0x1.3be04b1ee093bp-13 -0x1.99587d8bc6abap-16 -0x1.7885ff36463d3p-17 0x1.7f21da45c4f51p-18
        0x1.397ab142a7b13p-22 -0x1.bacda6983e6e1p-21 0x1.4cd59e2e0a486p-24 0x1.d84b65eda4af0p-24
        -0x1.6181399013740p-26 -0x1.f6891dc188920p-27 0x1.b4775a29986cfp-29 0x1.e3b4a2ae05b02p-30
        -0x1.258cc45d62980p-32 -0x1.2378cd7bf1cd2p-33
    """,
    # erfc, f32: error 2^-28.5
    ("erfc", 32): """
        0x1.3ba592p+0 -0x1.1df1aap-3 0x1.f7f73cp-7 0x1.16ec1ep-4
        -0x1.9dddb4p-4 0x1.7ff526p-4 -0x1.0fa1dep-4 0x1.3043f4p-5
        -0x1.0a00d8p-6 0x1.4cfb7cp-8 -0x1.714d7cp-11 -0x1.03f8cap-12
        0x1.d83402p-14
    """,
    # log_erfc, f64: error 2^-57.1
    ("log_erfc", 64): """
        -0x1.d97fbf27aa2a1p+0 -0x1.51c9b0006c21ap+1 -0x1.afabc11a2afd7p-1 -0x1.5477f099b6c8ap-5
        0x1.48c9d37fbd565p-7 -0x1.033f5a1236036p-9 0x1.f1b04a4e96218p-13 0x1.b92ddff70ede9p-16
        -0x1.c852b80e4c688p-16 0x1.44848e960fa9ep-17 -0x1.1e252a7287d8ap-19 0x1.b7d814893ab6fp-23
        0x1.f2488278e7811p-25 -0x1.1ed0a6be80ac7p-25 0x1.24afd848ebdcfp-27 -0x1.6a916eb409a1bp-30
        0x1.0660f91444886p-33 -0x1.564fa0a77f972p-38
    """,
    # log_erfc, f32: error 2^-29.9
    ("log_erfc", 32): """
        -0x1.d97fc0p+0 -0x1.51c9aap+1 -0x1.afad36p-1 -0x1.53f92ap-5
        0x1.441a18p-7 -0x1.deb27ep-10 0x1.851fe8p-13
    """,
    # quantile, f64: error 2^-56.7
    ("quantile", 64): """
        0x1.40d931ff62706p+1 0x1.4ffddeaa22d41p+1 0x1.71713082edbc5p+2 0x1.f55d0d660bbebp+3
        0x1.78494facacea7p+5 0x1.2ba821c3f29a0p+7 0x1.f06c08ab0dacep+8 0x1.a3b54baf4fa3dp+10
        0x1.94e62d8786edep+12 -0x1.0feb9d11ac06dp+12 0x1.ade196503a8dcp+19 -0x1.3207ce0916e79p+24
        0x1.842a9d51c80a5p+28 -0x1.811c58a757d6ap+32 0x1.3224cde6827b4p+36 -0x1.835554e55a93ep+39
        0x1.83cb29c2f4c6bp+42 -0x1.2f3980c36e071p+45 0x1.6ab912d66346cp+47 -0x1.40b51e7a42732p+49
        0x1.8b8dd5966a040p+50 -0x1.306b11b2cd97ep+51 0x1.ba3a0e02536f2p+50
    """,
    # quantile, f32: error 2^-28.1
    ("quantile", 32): """
        0x1.40d932p+1 0x1.4ffdb0p+1 0x1.718940p+2 0x1.f07a50p+3
        0x1.b8ff38p+5 -0x1.86ab74p+6 0x1.417922p+12 -0x1.9daee8p+15
        0x1.878efcp+18 -0x1.884022p+20 0x1.7a0bbep+21
    """,
    # quantile_tail, f64: error 2^-58.2
    ("quantile_tail", 64): """
        0x1.94dc9027cce85p-1 0x1.c0d061ea5be85p-2 -0x1.2672d73f8cd63p-2 0x1.65790ef659253p-4
        -0x1.0e35f2e51cc45p-5 0x1.232a7e9fca200p-7 -0x1.fd0117c039e9cp-9 0x1.3a63667951e5ep-11
        -0x1.3639b3691582cp-11 -0x1.5583eaf115f66p-14 -0x1.53008c2cfb614p-13 -0x1.699b63048a9cfp-14
        -0x1.40c1b5f44e1e2p-14 -0x1.e2969a193e2f4p-15 -0x1.87fe168a111adp-15 -0x1.f7e282610c0d5p-16
        -0x1.9fcc70d5ab6acp-16 -0x1.6d1f8fa3f2a07p-15 -0x1.2f46be9d61660p-15
    """,
    # quantile_tail, f32: error 2^-28.2
    ("quantile_tail", 32): """
        0x1.94dc90p-1 0x1.c0d062p-2 -0x1.267302p-2 0x1.65792ap-4
        -0x1.0e0ba8p-5 0x1.2328bcp-7 -0x1.0b9492p-8 0x1.322832p-11
    """,
    # quantile_far, f64: error 2^-58.5
    ("quantile_far", 64): """
        0x1.f5615591469d1p-1 0x1.abd9e6c9eb77fp-5 -0x1.9b4c69b9ecee5p-5 0x1.e5e830e9c086ap-6
        -0x1.0c215e2a7f6e5p-6 0x1.11936c01307f1p-7 -0x1.15eb9e5e29408p-8 0x1.0d0c155e159dfp-9
        -0x1.0ab8c513fa750p-10 0x1.f2446d829ae65p-12 -0x1.f18068f337754p-13 0x1.ba0b2a3d21589p-14
        -0x1.d1ed94487530ep-15 0x1.6d52b22b08a5cp-16 -0x1.d295c7708e715p-17 0x1.1b245729efa68p-18
        -0x1.c632ffd64c2c3p-19 -0x1.ad65f8e516214p-20 -0x1.be1c1153f883fp-19 0x1.3a9e53a112b61p-19
        0x1.22722c33146b5p-19 -0x1.b3538a5406cf1p-19 -0x1.aa3d88a64c37ap-19
    """,
    # quantile_far, f32: error 2^-31.5
    ("quantile_far", 32): """
        0x1.f56156p-1 0x1.abd9eap-5 -0x1.9b4c76p-5 0x1.e5e6bep-6
        -0x1.0c1e6ep-6 0x1.11c370p-7 -0x1.166accp-8 0x1.08067cp-9
        -0x1.011942p-10 0x1.32c85ap-11 -0x1.4bcec0p-12
    """,
    # gamma, f64: error 2^-58.0
    ("gamma", 64): """
        0x1.000000p+0 0x1.555555555567ep-4 0x1.c71c71c55bd82p-9 -0x1.5f72686827b5dp-9
        -0x1.e13e2eede152dp-13 0x1.9b1792e52ea9bp-11 0x1.20dda97a23e62p-14 -0x1.31f00c2b6b6f7p-11
        -0x1.ceee6be5edb98p-14 0x1.20c0af834d2fap-10 -0x1.446fc49a3c11ap-11 -0x1.62b3a356a266cp-10
        0x1.34aefb0a0f86cp-9 -0x1.353b7bb907660p-10
    """,
    # gamma, f32: error 2^-31.8
    ("gamma", 32): """
        0x1.000000p+0 0x1.555546p-4 0x1.c759fep-9 -0x1.625c86p-9
        -0x1.dd49f4p-14 0x1.23991ep-11
    """,
    # digamma, f64: error 2^-56.5
    ("digamma", 64): """
        0x1.fffffffffff73p-2 0x1.5555555578d66p-4 -0x1.91b7e5f5d5060p-33 -0x1.1110ff1e7c434p-7
        -0x1.e6ae3b7195357p-23 0x1.0452ec1bb6507p-8 -0x1.8dc2a52c42609p-15 -0x1.ee3448f54d675p-9
        -0x1.32e6bc7c0333ep-9 0x1.1aabf5e436732p-6 -0x1.b3cae7604d165p-6 0x1.46a80aee6e400p-6
        -0x1.9d9851d024a07p-8
    """,
    # digamma, f32: error 2^-29.5
    ("digamma", 32): """
        0x1.000006p-1 0x1.554c38p-4 0x1.138e8cp-13 -0x1.2e497ep-7
        0x1.7cad46p-9
    """,
    # bessel_i0, f64: error 2^-60.0
    ("bessel_i0", 64): """
        0x1.000000p+0 0x1.000000p+0 0x1.ffffffffffff3p-3 0x1.c71c71c71c85bp-6
        0x1.c71c71c71a937p-10 0x1.23456789c5e77p-14 0x1.02e85c06c9371p-19 0x1.522a44219110fp-25
        0x1.522a4126829f5p-31 0x1.0b3153e8c8db2p-37 0x1.55ff4d6b8f364p-44 0x1.69e6203332b38p-51
        0x1.40a5d6702d40fp-58 0x1.f2a3307346282p-66 0x1.108ae7dcc4eafp-73 0x1.1cb055b815174p-80
    """,
    # bessel_i0, f32: error 2^-31.7
    ("bessel_i0", 32): """
        0x1.000000p+0 0x1.000000p+0 0x1.000002p-2 0x1.c71c3ap-6
        0x1.c71ef6p-10 0x1.23357ap-14 0x1.035ff0p-19 0x1.4dd936p-25
        0x1.6acbbep-31 0x1.6f5474p-38 0x1.40549ap-43
    """,
    # bessel_i1, f64: error 2^-62.7
    ("bessel_i1", 64): """
        0x1.000000p-1 0x1.000000p-2 0x1.5555555555552p-5 0x1.c71c71c71c7a1p-9
        0x1.6c16c16c160bdp-13 0x1.845c8a0cf7720p-18 0x1.27e4fb765847bp-23 0x1.522a441146e0ap-29
        0x1.2c97572ffaefcp-35 0x1.ab82105d71f1ep-42 0x1.f17427d2468ccp-49 0x1.e2808a0bc9e0ap-56
        0x1.8ad6aab153b15p-63 0x1.1c18752369462p-70 0x1.26fdd42b275eep-78 0x1.17cead67b84f1p-85
    """,
    # bessel_i1, f32: error 2^-34.0
    ("bessel_i1", 32): """
        0x1.000000p-1 0x1.000000p-2 0x1.555556p-5 0x1.c71c54p-9
        0x1.6c17f2p-13 0x1.844ebcp-18 0x1.2845b2p-23 0x1.4ede74p-29
        0x1.3e8396p-35 0x1.36bd82p-42 0x1.c2e146p-48
    """,
    # bessel_i0_far, f64: error 2^-56.9
    ("bessel_i0_far", 64): """
        0x1.9bd428ad249a5p-2 0x1.b87969bb93b63p-9 0x1.1daa72b5d2ebfp-13 0x1.75e5ee7258f63p-17
        0x1.8e513bf4c4024p-20 0x1.3f49a54f7d04ap-22 0x1.7d0d463dfe8f8p-24 0x1.51cf6655f2a2dp-25
        0x1.727a2ee838608p-26 0x1.037a1415b7fbap-27 -0x1.d6288450a36e7p-28 -0x1.cc50a89e8ebf6p-27
        -0x1.5bbe18f462731p-28 0x1.026b9f295b4f2p-27 0x1.c5a94a587ce73p-28 -0x1.da60005e8723bp-29
        -0x1.3dda26ec0995dp-28 0x1.910558275f881p-30 0x1.3309f03ab70eap-29 -0x1.2282e7940dbeap-31
        -0x1.754234c78ecf4p-31 0x1.29ddb9feaeb71p-33 0x1.a85ff10228d99p-34 -0x1.2f28d7404098ap-36
    """,
    # bessel_i0_far, f32: error 2^-30.9
    ("bessel_i0_far", 32): """
        0x1.9bd428p-2 0x1.b87988p-9 0x1.1dab32p-13 0x1.74e202p-17
        0x1.8c10cap-20 0x1.84dcacp-22 0x1.d46386p-24
    """,
    # bessel_i1_far, f64: error 2^-56.8
    ("bessel_i1_far", 64): """
        0x1.8ebe783a84030p-2 -0x1.3f796198ee624p-7 -0x1.cbc54df1d8ae9p-13 -0x1.f89c2306d2b86p-17
        -0x1.ec8e12027d85cp-20 -0x1.76137d100c102p-22 -0x1.ad8b705f0e322p-24 -0x1.727af9d4d686ap-25
        -0x1.91d9fabd563e3p-26 -0x1.217af35460f05p-27 0x1.d583f1f3e52c1p-28 0x1.e1d24944efec5p-27
        0x1.81ee5f66df387p-28 -0x1.058fdaa63aa84p-27 -0x1.e2d60597e8340p-28 0x1.cfcf874d07ff0p-29
        0x1.4e12fbf665fe7p-28 -0x1.7b900be4df6f2p-30 -0x1.40e6fd91fefc9p-29 0x1.0cb5ad9575c4fp-31
        0x1.85094cbf48128p-31 -0x1.101d4955f6785p-33 -0x1.b9aa09c75a821p-34 0x1.13755b45c3a99p-36
    """,
    # bessel_i1_far, f32: error 2^-30.7
    ("bessel_i1_far", 32): """
        0x1.8ebe78p-2 -0x1.3f796ap-7 -0x1.cbc644p-13 -0x1.f778c0p-17
        -0x1.e9d19cp-20 -0x1.c3816ap-22 -0x1.08d262p-23
    """,
}


COEFFICIENTS = {key: tuple(float.fromhex(word) for word in text.split()) for key, text in _TABLE.items()}
