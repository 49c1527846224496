#include "muonlab/linalg/polar_chooser.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/philox.h"
#include "muonlab/formats/json.h"
#include "muonlab/kernels/polar.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/packed_polar.h"

namespace muonlab::linalg {

namespace {

using Clock = std::chrono::steady_clock;

// Candidates that execute this much more than the leanest are not timed.
constexpr double kHopeless = 1.5;
constexpr int kRepetitions = 5;
constexpr double kEnough = 1;  // seconds for one candidate

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

std::optional<std::filesystem::path> cache_file() {
  const auto folder = [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
  if (const auto own = folder("MUONLAB_CACHE")) {
    return std::filesystem::path(*own) / "polar.json";
  }
  if (const auto xdg = folder("XDG_CACHE_HOME")) {
    return std::filesystem::path(*xdg) / "muonlab" / "polar.json";
  }
  if (const auto home = folder("HOME")) {
    return std::filesystem::path(*home) / ".cache" / "muonlab" / "polar.json";
  }
  return std::nullopt;
}

std::vector<PolarCandidate> candidates_for(const PolarOptions& wish,
                                           std::int64_t rows,
                                           std::int64_t columns) {
  std::vector<PolarCandidate> all;
  const auto add = [&](const char* name, PolarMethod method, PolarDtype dtype) {
    PolarOptions options = wish;
    options.method = method;
    options.dtype = dtype;
    all.push_back({name, options, 0});
  };
  const bool narrow = wish.dtype == PolarDtype::kBFloat16;
  if (narrow) {
    add("newton-schulz bfloat16", PolarMethod::kNewtonSchulz,
        PolarDtype::kBFloat16);
    // On squarer matrices rounding Q costs as much as it saves.
    if (std::max(rows, columns) >= 2 * std::min(rows, columns)) {
      add("gram mixed", PolarMethod::kGram, PolarDtype::kMixed);
    }
  }
  add("newton-schulz float32", PolarMethod::kNewtonSchulz,
      PolarDtype::kFloat32);
  add("gram float32", PolarMethod::kGram, PolarDtype::kFloat32);
  return all;
}

// As many matrices as there are threads, where each thread would get its own.
class Trial {
 public:
  Trial(std::int64_t rows, std::int64_t columns)
      : rows_(static_cast<std::size_t>(rows)),
        columns_(static_cast<std::size_t>(columns)),
        values_(rows_ * columns_) {
    const core::Random random(1, "polar chooser");
    for (std::size_t i = 0; i < values_.size(); ++i) {
      values_[i] = static_cast<float>(random.uniform(0, i) - 0.5);
    }
    view_ = {values_.data(), columns_};
    const std::size_t threads = kernel_pool().size();
    jobs_.resize(std::min(rows_, columns_) <= kernels::kPolarAlone ? threads
                                                                   : 1);
    for (kernels::PolarJob& job : jobs_) {
      job.rows = rows_;
      job.columns = columns_;
      job.source = {kernels::fill_from_matrix, &view_, true};
    }
  }

  double seconds(const kernels::PolarSchedule& schedule) {
    std::vector<double> times;
    double all = 0;
    run(schedule);
    while (times.size() < kRepetitions && (times.empty() || all < kEnough)) {
      const auto begin = Clock::now();
      run(schedule);
      times.push_back(
          std::chrono::duration<double>(Clock::now() - begin).count());
      all += times.back();
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2] / static_cast<double>(jobs_.size());
  }

  [[nodiscard]] double cost(const kernels::PolarSchedule& schedule) const {
    const auto flops = kernels::polar_flops(rows_, columns_, schedule);
    const bool pairs =
        kernels::active_simd_level() == kernels::SimdLevel::kAvx512Bf16;
    return flops.float32 + (pairs ? 0.5 : 1) * flops.bfloat16;
  }

 private:
  void run(const kernels::PolarSchedule& schedule) {
    kernels::polar_factors(jobs_, schedule, kernel_pool(),
                           kernels::active_simd_level());
  }
  std::size_t rows_, columns_;
  std::vector<float> values_;
  kernels::MatrixView view_;
  std::vector<kernels::PolarJob> jobs_;
};

PolarChoice measured(const PolarOptions& wish, std::int64_t rows,
                     std::int64_t columns) {
  PolarChoice choice{
      rows, columns, {}, {}, candidates_for(wish, rows, columns)};
  Trial trial(rows, columns);
  double leanest = INFINITY;
  for (const PolarCandidate& c : choice.candidates) {
    leanest = std::min(leanest, trial.cost(*packed_schedule(c.options)));
  }
  double best = INFINITY;
  for (PolarCandidate& c : choice.candidates) {
    const auto schedule = *packed_schedule(c.options);
    if (trial.cost(schedule) > kHopeless * leanest) continue;
    c.seconds = trial.seconds(schedule);
    if (c.seconds >= best) continue;
    best = c.seconds;
    choice.options = c.options;
    choice.name = c.name;
  }
  return choice;
}

class Chooser {
 public:
  PolarOptions choose(const PolarOptions& wish, std::int64_t rows,
                      std::int64_t columns) {
    const std::scoped_lock lock(mutex_);
    const std::string key = key_of(wish, rows, columns);
    const auto known = made_.find(key);
    if (known != made_.end()) return with_wish(known->second.options, wish);
    PolarChoice choice;
    if (const auto name = remembered(key)) {
      for (const PolarCandidate& c : candidates_for(wish, rows, columns)) {
        if (c.name == *name) choice = {rows, columns, c.options, c.name, {}};
      }
    }
    if (choice.name.empty()) {
      choice = measured(wish, rows, columns);
      remember(key, choice);
    }
    made_.emplace(key, choice);
    order_.push_back(key);
    return choice.options;
  }

  std::vector<PolarChoice> all() {
    const std::scoped_lock lock(mutex_);
    std::vector<PolarChoice> choices;
    for (const std::string& key : order_) choices.push_back(made_.at(key));
    return choices;
  }

 private:
  static PolarOptions with_wish(const PolarOptions& found,
                                const PolarOptions& wish) {
    PolarOptions options = wish;
    options.method = found.method;
    options.dtype = found.dtype;
    return options;
  }
  static std::string key_of(const PolarOptions& wish, std::int64_t rows,
                            std::int64_t columns) {
    static const std::string kCpu = cpu_name();
    return concat(kCpu, "; ",
                  kernels::simd_level_name(kernels::active_simd_level()), "; ",
                  kernel_pool().size(), " threads; ", std::min(rows, columns),
                  "x", std::max(rows, columns), "; ", wish.steps, " steps of ",
                  wish.coefficients, "; restarts ", wish.restarts, "; ",
                  wish.dtype == PolarDtype::kBFloat16 ? "bfloat16" : "float32");
  }
  // A broken or missing file is one that remembers nothing.
  static formats::Json file_content() {
    const auto path = cache_file();
    if (!path || !std::filesystem::exists(*path)) {
      return formats::Json::object();
    }
    try {
      formats::Json content = formats::read_json(*path);
      return content.is_object() ? content : formats::Json::object();
    } catch (const Error&) {
      return formats::Json::object();
    }
  }
  static std::optional<std::string> remembered(const std::string& key) {
    const formats::Json content = file_content();
    const auto found = content.find(key);
    if (found == content.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
  }
  static void remember(const std::string& key, const PolarChoice& choice) {
    const auto path = cache_file();
    if (!path) return;
    try {
      core::make_folder(path->parent_path());
      formats::Json content = file_content();
      content[key] = choice.name;
      formats::write_json(*path, content);
    } catch (const Error&) {
      // The choice holds for this process all the same.
    }
  }

  std::mutex mutex_;
  std::map<std::string, PolarChoice> made_;
  std::vector<std::string> order_;
};

Chooser& chooser() {
  static Chooser chooser;
  return chooser;
}

}  // namespace

PolarOptions chosen_polar(const PolarOptions& options, std::int64_t rows,
                          std::int64_t columns) {
  if (options.method != PolarMethod::kAuto) return options;
  PolarOptions standard = options;
  standard.method = PolarMethod::kNewtonSchulz;
  if (!packed_schedule(standard) || rows == 0 || columns == 0) return standard;
  return chooser().choose(options, rows, columns);
}

std::vector<PolarChoice> polar_choices() { return chooser().all(); }

}  // namespace muonlab::linalg
