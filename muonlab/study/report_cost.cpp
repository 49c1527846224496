// The section of the report on time and memory.
#include <algorithm>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/study/document_internal.h"
#include "muonlab/study/step_times_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

using Row = std::vector<std::string>;

// Mean of one number over the final runs of an arm that ended.
template <typename Value>
std::optional<double> final_mean(const Results& results, const std::string& arm,
                                 Value value) {
  std::vector<double> values;
  for (const Cell& cell : results.cells) {
    if (cell.phase == "final" && cell.arm == arm && cell.state == "done") {
      values.push_back(value(cell));
    }
  }
  if (values.empty()) return std::nullopt;
  return statistics::mean(values);
}

double peak_memory(const Results& results, const std::string& arm) {
  double peak = 0;
  for (const Cell& cell : results.cells) {
    if (cell.arm == arm) peak = std::max(peak, cell.peak_memory_bytes);
  }
  return peak;
}

std::string milliseconds(double seconds) {
  return core::fixed(1e3 * seconds, 1) + " ms";
}

Row cost_row(const Results& results, const Arm& arm, const StepTime* time,
             double baseline_seconds) {
  Row row = {arm.name};
  if (time == nullptr) {
    row.insert(row.end(), 8, kNone);
  } else {
    const double sum = total(*time);
    row.push_back(milliseconds(sum));
    row.push_back(baseline_seconds > 0 ? core::fixed(sum / baseline_seconds, 3)
                                       : kNone);
    for (const double part :
         {time->forward, time->backward, time->optimizer, time->other}) {
      row.push_back(milliseconds(part));
    }
    row.push_back(sum > 0 ? percent_text(time->optimizer / sum) : kNone);
    row.push_back(
        sum > 0 ? core::grouped(std::llround(
                      static_cast<double>(results.setup.tokens_per_step) / sum))
                : kNone);
  }
  const double memory = peak_memory(results, arm.name);
  row.push_back(memory > 0 ? core::byte_size(memory) : kNone);
  const auto clipped = final_mean(
      results, arm.name, [](const Cell& cell) { return cell.clipped_share; });
  row.push_back(clipped ? percent_text(*clipped) : kNone);
  const auto wall = final_mean(
      results, arm.name, [](const Cell& cell) { return cell.wall_seconds; });
  row.push_back(wall ? core::duration(*wall) : kNone);
  return row;
}

}  // namespace

Section cost_section(const Results& results) {
  Section section{"Cost", {}};
  const std::vector<ArmStepTime> times = step_times(results);
  const auto time_of = [&](const std::string& arm) -> const StepTime* {
    for (const ArmStepTime& entry : times) {
      if (entry.arm == arm) return &entry.time;
    }
    return nullptr;
  };
  const std::string& baseline = results.setup.baseline;
  const StepTime* reference = time_of(baseline);
  const double baseline_seconds = reference ? total(*reference) : 0;
  Table costs;
  costs.heading = {
      "arm",      "step",        "× " + baseline, "forward",
      "backward", "optimizer",   "other",         "optimizer share",
      "tokens/s", "peak memory", "clipped steps", "final run, wall"};
  for (const Arm& arm : results.arms) {
    costs.rows.push_back(
        cost_row(results, arm, time_of(arm.name), baseline_seconds));
    costs.colors.push_back(arm_color(arm.name, results.arms));
  }
  section.blocks.emplace_back(std::move(costs));
  std::string text =
      "Step and its parts: medians of timing runs that had the machine to "
      "themselves; clipping belongs to the optimizer. Peak memory: the "
      "largest of the arm's runs. Clipped steps and wall time (training "
      "only): means over final runs, which may have shared the machine.";
  if (results.setup.wall_seconds > 0) {
    text += " The training times of all runs add up to " +
            core::duration(results.setup.wall_seconds) +
            (results.setup.jobs == 1 ? "; evaluations come on top."
                                     : "; runs go side by side, and "
                                       "evaluations come on top.");
  }
  section.blocks.emplace_back(Paragraph{text});
  return section;
}

}  // namespace muonlab::study::detail
