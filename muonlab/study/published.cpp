#include "muonlab/study/published.h"

#include <array>

namespace muonlab::study {

namespace {

constexpr std::array<PublishedRate, 15> kRates = {{
    {"adamw", 1e-5, 8.459477424621582, 0.070, 8.32, 4.1e3},
    {"adamw", 3e-5, 6.6022467613220215, 0.183, 6.38, 591},
    {"adamw", 1e-4, 4.173043251037598, 0.371, 3.90, 49.4},
    {"adamw", 3e-4, 1.478623628616333, 0.777, 1.199, 3.32},
    {"adamw", 1e-3, 0.16272294521331787, 0.968, 0.139, 1.15},
    {"adamw", 3e-3, 0.12793155014514923, 0.9718, 0.1147, 1.12},
    {"adamw", 1e-2, 3.3094286918640137, 0.284, 3.27, 26.4},
    {"muon", 0.001, 3.733657121658325, 0.430, 3.44, 31.1},
    {"muon", 0.003, 0.5717266798019409, 0.953, 0.383, 1.47},
    {"muon", 0.005, 0.13839775323867798, 0.983, 0.118, 1.13},
    {"muon", 0.01, 0.08118744194507599, 0.9845, 0.0851, 1.09},
    {"muon", 0.015, 0.08615727722644806, 0.983, 0.087, 1.09},
    {"muon", 0.02, 0.09520182758569717, 0.980, 0.0967, 1.10},
    {"muon", 0.03, 0.09264008700847626, 0.980, 0.0936, 1.10},
    {"muon", 0.05, 0.1162719801068306, 0.974, 0.1078, 1.11},
}};

constexpr std::array<PublishedSize, 16> kSizes = {{
    {"tiny", "loss", 0.8112, 0.0261, 0.9434, 0.0011, -16.3, "0.037"},
    {"tiny", "accuracy", 0.7941, 0.0066, 0.7836, 0.0005, -1.3, "0.250"},
    {"tiny", "perplexity", 2.2513, 0.0588, 2.5687, 0.0027, -14.1, "0.033"},
    {"tiny", "time", 273.9437, 0.8401, 283.6248, 2.1028, -3.5, "0.051"},
    {"small", "loss", 0.1939, 0.0009, 0.1588, 0.0005, 18.1, "0.001"},
    {"small", "accuracy", 0.9496, 0.0001, 0.9625, 0.0002, 1.4, "0.000"},
    {"small", "perplexity", 1.2140, 0.0011, 1.1721, 0.0006, 3.5, "0.001"},
    {"small", "time", 268.2420, 0.0808, 278.0209, 0.1158, -3.6, "0.000"},
    {"medium", "loss", 0.3098, 0.0112, 0.1609, 0.0034, 48.0, "0.006"},
    {"medium", "accuracy", 0.9173, 0.0031, 0.9614, 0.0010, 4.8, "0.005"},
    {"medium", "perplexity", 1.3632, 0.0152, 1.1746, 0.0040, 13.8, "0.007"},
    {"medium", "time", 203.0001, 0.2817, 211.5403, 0.0063, -4.2, "0.001"},
    {"large", "loss", 3.7607, 0.0533, 0.2210, 0.0050, 94.1, "0.000"},
    {"large", "accuracy", 0.2835, 0.0043, 0.9464, 0.0011, 233.9, "0.000"},
    {"large", "perplexity", 43.0399, 2.2938, 1.2474, 0.0062, 97.1, "0.003"},
    {"large", "time", 205.2436, 0.0727, 215.7518, 0.0853, -5.1, "0.000"},
}};

constexpr std::array<PublishedOverall, 4> kOverall = {{
    {"loss", 36.00, 40.55, "0.222"},
    {"accuracy", 59.68, 100.60, "0.380"},
    {"perplexity", 25.07, 42.77, "0.385"},
    {"time", -4.13, 0.63, "0.001"},
}};

}  // namespace

std::span<const PublishedRate> published_rates() { return kRates; }

std::span<const PublishedSize> published_sizes() { return kSizes; }

const PublishedSize* published_size(const std::string& size,
                                    const std::string& metric) {
  for (const PublishedSize& row : kSizes) {
    if (row.size == size && row.metric == metric) return &row;
  }
  return nullptr;
}

std::span<const PublishedOverall> published_overall() { return kOverall; }

}  // namespace muonlab::study
