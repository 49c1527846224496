// The figure of data speed-ups.
#include <utility>

#include "muonlab/core/text.h"
#include "muonlab/study/overview_figures_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

Json speedup_bands() {
  Json bands = Json::array();
  const std::vector<std::pair<double, double>> edges = {
      {1.0, 1.2}, {1.2, 1.3}, {1.3, 1.4}};
  for (std::size_t i = 0; i < edges.size(); ++i) {
    bands.push_back({{"low", edges[i].first},
                     {"high", edges[i].second},
                     {"strength", 0.05 + 0.05 * static_cast<double>(i)}});
  }
  return bands;
}

}  // namespace

std::optional<statistics::Interval> interval_of(const CaseSpeedup& one) {
  if (!one.value || !one.value->bootstrap) return std::nullopt;
  const statistics::Bootstrap& bootstrap = *one.value->bootstrap;
  return bootstrap.bca ? bootstrap.bca : bootstrap.percentile;
}

void speedup_figure(const Overview& overview,
                    const std::vector<CaseSpeedup>& speedups,
                    std::vector<Figure>& figures) {
  Json means = Json::array();
  bool interpolated = false;
  std::int64_t undetermined = 0;
  for (const CaseSpeedup& one : speedups) {
    if (!one.value || !one.value->speedup) continue;
    if (one.value->undetermined) {  // a number that means nothing
      ++undetermined;
      continue;
    }
    interpolated = interpolated || one.value->method ==
                                       statistics::SpeedupMethod::kInterpolated;
    Json row = {{"case", label_of(overview.cases[one.place])},
                {"arm", one.arm},
                {"speedup", drawn(*one.value->speedup)}};
    if (const auto interval = interval_of(one)) {
      row["low"] = drawn(interval->low);
      row["high"] = drawn(interval->high);
    }
    means.push_back(row);
  }
  if (means.empty()) return;
  const Json x = {
      {"field", "speedup"},
      {"type", "quantitative"},
      {"title", "data speed-up over " + overview.study->setup.baseline +
                    " (right: less data)"},
      {"scale", {{"zero", false}, {"padding", 12}}},
      {"axis",
       {{"grid", false},
        {"format", ".2f"},
        {"tickCount", {{"expr", "clamp(width / 80, 3, 8)"}}}}}};
  Json spec = dot_plot(overview, Json::array(), means, x, false);
  Json low = x;
  low["field"] = "low";
  const Json band = {{"data", {{"values", speedup_bands()}}},
                     {"mark", {{"type", "rect"}, {"color", "currentColor"}}},
                     {"encoding",
                      {{"x", low},
                       {"x2", {{"field", "high"}}},
                       {"opacity",
                        {{"field", "strength"},
                         {"type", "quantitative"},
                         {"scale", nullptr},
                         {"legend", nullptr}}}}}};
  const Json one = {
      {"data", {{"values", {{{"speedup", 1}}}}}},
      {"mark",
       {{"type", "rule"}, {"color", "currentColor"}, {"strokeWidth", 1.5}}},
      {"encoding", {{"x", x}}}};
  spec["layer"].insert(spec["layer"].begin(), {band, one});
  figures.push_back(
      {"data-speedup", "Data speed-up by case",
       "How much less data does an arm need for the same loss? Tokens at which "
       "the fully decayed baseline has the arm's final loss, over the arm's "
       "tokens" +
           std::string(interpolated
                           ? " (baseline interpolated between its lengths: "
                             "fewer than four of them)"
                           : " (power law with a floor through the baseline's "
                             "lengths)") +
           "; bar: 95 % bootstrap interval over seeds, too narrow below eight "
           "seeds, none below three; shaded: 1.0–1.2, 1.2–1.3 and 1.3–1.4; " +
           (undetermined > 0
                ? count_text(undetermined, "speed-up") +
                      " left out, whose power law is not determined; "
                : std::string()) +
           overview_phrase(overview) + ".",
       dump(spec)});
}

}  // namespace muonlab::study::detail
