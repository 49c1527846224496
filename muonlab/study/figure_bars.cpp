// Paired differences to the baseline, and time per step by part.
#include <algorithm>
#include <array>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/statistics/permutation.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/study/figures_internal.h"
#include "muonlab/study/step_times_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr int kRowHeight = 54;  // pixels for each arm
constexpr int kBarHeight = 40;
constexpr int kLetterWidth = 8;  // of a label at 12 pixels, rounded up

Json arm_rows(const std::vector<std::string>& names) {
  return {{"field", "arm"},
          {"type", "nominal"},
          {"title", nullptr},
          {"sort", names},
          {"axis", {{"labelFontSize", 13}, {"labelLimit", 160}}}};
}

struct Part {
  const char* name;
  const char* color;
  double StepTime::* member;
};
// Colours apart from the arms'; the optimizer's is the strong one.
constexpr std::array<Part, 4> kParts = {
    {{"forward", "#9ecae1", &StepTime::forward},
     {"backward", "#5a9bc8", &StepTime::backward},
     {"optimizer", "#6a3d9a", &StepTime::optimizer},
     {"other", "#b5b5b5", &StepTime::other}}};

}  // namespace

std::vector<Figure> difference_figures(const Results& results,
                                       const ComparisonTable& table) {
  Json dots = Json::array();
  Json means = Json::array();
  std::vector<std::string> names;
  std::size_t least = statistics::kMostForSignFlip + 1;
  for (const Comparison& c : table.comparisons) {
    if (c.n() == 0) continue;
    names.push_back(c.arm);
    least = std::min(least, c.n());
    for (std::size_t i = 0; i < c.n(); ++i) {
      dots.push_back({{"arm", c.arm},
                      {"seed", c.seeds[i]},
                      {"difference", c.differences[i]}});
    }
    Json row = {{"arm", c.arm}, {"difference", *c.difference}};
    if (c.test && c.test->interval) {
      row["low"] = c.test->interval->low;
      row["high"] = c.test->interval->high;
    }
    means.push_back(row);
  }
  if (names.empty()) return {};

  const Json x = {{"field", "difference"},
                  {"type", "quantitative"},
                  {"title", "difference to " + table.baseline +
                                ", nats per token (left: ahead)"},
                  {"scale", {{"padding", 12}}},  // pixels
                  {"axis",
                   {{"format", "+.3~f"},
                    {"labelExpr", "datum.value == 0 ? '0' : datum.label"},
                    // Few enough that no label is left out, zero least of all.
                    {"tickCount", {{"expr", "clamp(width / 80, 3, 7)"}}}}}};
  const Json y = arm_rows(names);
  Json color = arm_color_channel(results);
  color["legend"] = nullptr;
  const Json tooltip = {
      {{"field", "arm"}},
      {{"field", "seed"}},
      {{"field", "difference"}, {"type", "quantitative"}, {"format", "+.4f"}}};
  const Json zero = Json::array({{{"difference", 0}}});
  Json low = x;
  low["field"] = "low";
  const Json dot_encoding = {
      {"x", x}, {"y", y}, {"color", color}, {"tooltip", tooltip}};
  const Json interval_encoding = {
      {"x", low}, {"x2", {{"field", "high"}}}, {"y", y}, {"color", color}};
  const Json mean_encoding = {{"x", x}, {"y", y}, {"color", color}};
  Json spec = spec_frame(kRowHeight * static_cast<int>(names.size()));
  spec["layer"] = {
      {{"data", {{"values", zero}}},
       {"mark",
        {{"type", "rule"}, {"color", "currentColor"}, {"strokeWidth", 1.5}}},
       {"encoding", {{"x", x}}}},
      {{"data", {{"values", dots}}},
       {"mark",
        {{"type", "point"},
         {"filled", true},
         {"size", 60},
         {"opacity", 0.6},
         {"yOffset", -9}}},
       {"encoding", dot_encoding}},
      {{"data", {{"values", means}}},
       {"mark",
        {{"type", "rule"},
         {"strokeWidth", 2.5},
         {"yOffset", 9},
         {"y2Offset", 9}}},
       {"encoding", interval_encoding}},
      {{"data", {{"values", means}}},
       {"mark",
        {{"type", "point"},
         {"shape", "diamond"},
         {"filled", true},
         {"size", 110},
         {"opacity", 1},
         {"yOffset", 9}}},
       {"encoding", mean_encoding}}};
  return {
      {"paired-differences", "Paired differences to " + table.baseline,
       "Who is ahead, seed by seed? Difference in final held-out loss to " +
           table.baseline + " at the same seed (dots), their mean (diamond)" +
           (least < statistics::kFewestForTest
                ? std::string("; no interval below three seeds")
                : std::string(" and its 95 % paired t interval (bar, not "
                              "adjusted for the number of arms)")) +
           "; seeds " + seeds_text(results.setup.final_seeds) + "; " +
           setting_phrase(results) + ". Rates tuned per arm on other seeds.",
       dump(spec)}};
}

std::vector<Figure> step_time_figures(const Results& results) {
  Json bars = Json::array();
  Json totals = Json::array();
  std::vector<std::string> names;
  for (const ArmStepTime& arm : step_times(results)) {
    names.push_back(arm.arm);
    const double sum = total(arm.time);
    for (std::size_t i = 0; i < kParts.size(); ++i) {
      bars.push_back({{"arm", arm.arm},
                      {"part", kParts[i].name},
                      {"order", i},
                      {"ms", drawn(1e3 * (arm.time.*kParts[i].member))}});
    }
    totals.push_back(
        {{"arm", arm.arm},
         {"ms", drawn(1e3 * sum)},
         {"label", core::fixed(1e3 * sum, 1) + " ms, optimizer " +
                       percent_text(sum > 0 ? arm.time.optimizer / sum : 0)}});
  }
  if (names.empty()) return {};
  double longest = 0;
  std::size_t letters = 0;
  for (const Json& row : totals) {
    longest = std::max(longest, row["ms"].get<double>());
    letters = std::max(letters, row["label"].get<std::string>().size());
  }
  const Json y = arm_rows(names);
  // Room to the right of the longest bar for its label, at any width.
  const std::string end =
      concat(drawn(longest), " * width / max(width - ",
             kLetterWidth * static_cast<int>(letters), ", width / 4)");
  const Json x = {
      {"field", "ms"},
      {"type", "quantitative"},
      {"title", "milliseconds per optimizer step"},
      {"axis", {{"tickCount", {{"expr", "clamp(width / 60, 3, 8)"}}}}},
      {"scale",
       {{"domainMin", 0}, {"domainMax", {{"expr", end}}}, {"nice", false}}}};
  Json domain = Json::array();
  Json range = Json::array();
  for (const Part& part : kParts) {
    domain.push_back(part.name);
    range.push_back(part.color);
  }
  const Json color = {{"field", "part"},
                      {"type", "nominal"},
                      {"title", nullptr},
                      {"scale", {{"domain", domain}, {"range", range}}}};
  const Json tooltip = {
      {{"field", "arm"}},
      {{"field", "part"}},
      {{"field", "ms"}, {"type", "quantitative"}, {"format", ".2f"}}};
  Json stacked = x;
  stacked["stack"] = "zero";
  const Json bar_encoding = {{"x", stacked},
                             {"y", y},
                             {"color", color},
                             {"order", {{"field", "order"}}},
                             {"tooltip", tooltip}};
  const Json label_encoding = {
      {"x", x}, {"y", y}, {"text", {{"field", "label"}}}};
  Json spec = spec_frame(kBarHeight * static_cast<int>(names.size()));
  spec["layer"] = {
      {{"data", {{"values", bars}}},
       {"mark", {{"type", "bar"}, {"height", {{"band", 0.62}}}}},
       {"encoding", bar_encoding}},
      {{"data", {{"values", totals}}},
       {"mark",
        {{"type", "text"}, {"align", "left"}, {"dx", 6}, {"fontSize", 12}}},
       {"encoding", label_encoding}}};
  return {{"step-time", "Time per step",
           "What does a step cost? Median time of an optimizer step by part, "
           "from timing runs that "
           "had the machine to themselves (optimizer: clipping and update; "
           "other: batch and logging); " +
               setting_phrase(results) + ". One value per arm: no interval.",
           dump(spec)}};
}

}  // namespace muonlab::study::detail
