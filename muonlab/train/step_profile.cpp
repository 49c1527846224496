#include "muonlab/train/step_profile.h"

#include <vector>

#include "muonlab/core/text.h"

namespace muonlab::train {

namespace {

struct Line {
  std::string name;
  double seconds = 0;  // a step
  double flops = 0;    // a step
};

std::vector<Line> lines_of(const StepProfile& p) {
  const auto steps = static_cast<double>(p.steps);
  std::vector<Line> lines;
  double known = 0;
  for (std::size_t i = 0; i < nn::PassProfile::kParts; ++i) {
    lines.push_back(
        {std::string(nn::pass_part_name(static_cast<nn::PassPart>(i))),
         p.pass.seconds[i] / steps, p.pass.flops[i] / steps});
    known += lines.back().seconds;
  }
  lines.push_back({"optimizer", p.optimizer_seconds / steps});
  known += lines.back().seconds;
  // Batches, and what no timer is around.
  lines.push_back({"rest", p.total_seconds / steps - known});
  return lines;
}

double peak_of(const StepProfile& p) {
  return p.precision == nn::Precision::kBFloat16 ? p.peak.bfloat16
                                                 : p.peak.float32;
}

std::string percent(double share) { return core::fixed(100 * share, 1) + "%"; }

}  // namespace

std::string profile_table(const StepProfile& p) {
  const double step = p.total_seconds / static_cast<double>(p.steps);
  const double peak = peak_of(p);
  const double thread_peak = peak / static_cast<double>(p.threads);
  std::vector<std::vector<std::string>> rows = {
      {"part", "ms", "share", "GFLOP/s", "of peak"}};
  for (const Line& line : lines_of(p)) {
    std::vector<std::string> row = {line.name,
                                    core::fixed(line.seconds * 1e3, 2),
                                    percent(line.seconds / step), "", ""};
    if (line.flops > 0 && line.seconds > 0) {
      const double rate = line.flops / line.seconds;
      row[3] = core::fixed(rate * 1e-9, 1);
      row[4] = percent(rate / thread_peak);
    }
    rows.push_back(row);
  }
  const double rate = p.model_flops / step;
  rows.push_back({"step, all threads", core::fixed(step * 1e3, 2), "100.0%",
                  core::fixed(rate * 1e-9, 1), percent(rate / peak)});
  return core::aligned_table(rows);
}

formats::Json profile_json(const StepProfile& p) {
  formats::Json parts = formats::Json::object();
  for (const Line& line : lines_of(p)) {
    parts[line.name] = {{"seconds", formats::json_number(line.seconds)},
                        {"flops", formats::json_number(line.flops)}};
  }
  return {{"t", "profile"},
          {"steps", p.steps},
          {"threads", p.threads},
          {"step_seconds", formats::json_number(p.total_seconds /
                                                static_cast<double>(p.steps))},
          {"model_flops", formats::json_number(p.model_flops)},
          {"peak", formats::json_number(peak_of(p))},
          {"parts", parts}};
}

}  // namespace muonlab::train
