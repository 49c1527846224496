#include <algorithm>

#include "muonlab/study/published_panel_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr int kHeight = 230;

Json axis_of(const PanelAxis& axis) {
  Json scale = {{"nice", false}, {"padding", 8}};
  if (axis.logarithmic) {
    scale["type"] = "log";
  } else {
    scale["zero"] = false;
  }
  if (axis.low && axis.high) {
    scale["domain"] = {*axis.low, *axis.high};
    scale.erase("padding");
  }
  Json ticks = {{"labelOverlap", "greedy"},
                {"tickCount", {{"expr", "clamp(width / 60, 2, 5)"}}}};
  if (axis.low) ticks = {{"values", {0, 1}}};
  if (!axis.format.empty()) ticks["format"] = axis.format;
  return {{"field", axis.field},
          {"type", "quantitative"},
          {"title", axis.title},
          {"scale", scale},
          {"axis", ticks}};
}

}  // namespace

Json panel_spec(const Results& results, const Json& rows, const PanelAxis& x,
                PanelAxis y, const PanelMarks& marks) {
  // A log axis has no place for zero, or for an interval that reaches it.
  const bool positive =
      std::all_of(rows.begin(), rows.end(), [&](const Json& row) {
        return row[y.field].get<double>() > 0 &&
               (!row.contains("low") || row["low"].get<double>() > 0);
      });
  y.logarithmic = y.logarithmic && positive;
  const Json place = {{"x", axis_of(x)},
                      {"y", axis_of(y)},
                      {"color", arm_color_channel(results)}};
  Json spec = spec_frame(kHeight);
  spec["data"] = {{"values", rows}};
  spec["layer"] = Json::array();
  Json bounds = place;
  bounds["y"]["field"] = "low";
  bounds["y2"] = {{"field", "high"}};
  const Json bounded = rows_with_bounds(rows);
  if (marks.band && !bounded.empty()) {
    spec["layer"].push_back(
        {{"data", {{"values", bounded}}},
         {"mark", {{"type", "area"}, {"opacity", 0.2}, {"clip", true}}},
         {"encoding", bounds}});
  }
  if (marks.bars && !bounded.empty()) {
    spec["layer"].push_back(
        {{"data", {{"values", bounded}}},
         {"mark", {{"type", "rule"}, {"strokeWidth", 2}, {"clip", true}}},
         {"encoding", bounds}});
  }
  if (marks.lines) {
    spec["layer"].push_back(
        {{"mark", {{"type", "line"}, {"strokeWidth", 2}, {"clip", true}}},
         {"encoding", place}});
  }
  if (marks.points) {
    Json dots = place;
    dots["shape"] = {
        {"field", "arm"},
        {"type", "nominal"},
        {"title", nullptr},  // as the colour's: one legend for both
        {"scale", {{"domain", place["color"]["scale"]["domain"]}}}};
    spec["layer"].push_back({{"mark",
                              {{"type", "point"},
                               {"filled", true},
                               {"size", 60},
                               {"opacity", 1},
                               {"tooltip", {{"content", "data"}}}}},
                             {"encoding", dots}});
  }
  return spec;
}

}  // namespace muonlab::study::detail
