#include "muonlab/study/throughput.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>
#include <thread>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/study/collect.h"
#include "muonlab/study/process_pool.h"
#include "muonlab/train/environment.h"
#include "muonlab/train/interrupt.h"
#include "muonlab/train/summary.h"

namespace muonlab::study {

namespace {

constexpr auto kPollPause = std::chrono::milliseconds(10);
constexpr int kDivergedExit = 5;
constexpr int kRounds = 2;
constexpr std::size_t kArms = 2;
// A run's step times leave out its first five; seven are left.
constexpr std::int64_t kSteps = 12;

// Those that this process may run on; hardware_concurrency() may count more.
std::int64_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  return std::max<std::int64_t>(1, std::thread::hardware_concurrency());
}

// Gone with its content, however the measurement ends.
class Workplace {
 public:
  explicit Workplace(std::filesystem::path path) : path_(std::move(path)) {
    remove();  // what a killed study left
    core::make_folder(path_);
  }
  ~Workplace() { remove(); }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

 private:
  void remove() const {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
  }
  std::filesystem::path path_;
};

// The first arms whose rules differ: steps of one rule cost the same.
std::vector<const ArmPlan*> arms_to_measure(const StudyPlan& plan) {
  std::vector<const ArmPlan*> arms;
  for (const ArmPlan& arm : plan.arms) {
    const bool known = std::ranges::any_of(
        arms, [&](const ArmPlan* other) { return other->rule == arm.rule; });
    if (!known && arms.size() < kArms) arms.push_back(&arm);
  }
  return arms;
}

void start(ProcessPool& pool, const train::RunConfig& config,
           const std::filesystem::path& folder, std::size_t ticket) {
  core::make_folder(folder);
  train::RunConfig copy = config;
  const auto file = folder / "cell.toml";
  core::write_file(file, train::fields_of(copy).to_toml(false));
  pool.start({.ticket = ticket,
              .arguments = {"train", file.string(), "--out", folder.string(),
                            "--force", "--quiet", "--child-of",
                            std::to_string(::getpid())},
              .output = folder / "output.txt",
              .threads = config.threads});
}

double step_seconds(const std::filesystem::path& folder) {
  const train::StepSeconds s =
      train::read_summary(folder / "summary.json").step_seconds;
  return s.forward + s.backward + s.optimizer + s.other;
}

// Tokens per second of the form's runs together; nothing when one diverged.
std::optional<double> speed_of(const std::string& plan_name,
                               const train::RunConfig& config, Form form,
                               const std::filesystem::path& folder) {
  const auto place = [&](std::size_t run) {
    return folder / std::to_string(run);
  };
  ProcessPool pool;
  for (std::size_t run = 0; run < static_cast<std::size_t>(form.jobs); ++run) {
    start(pool, config, place(run), run);
  }
  bool diverged = false;
  while (pool.running() > 0) {
    const auto ended = pool.poll();
    if (train::interrupted()) {
      throw Error(ErrorKind::kInterrupted,
                  concat("study '", plan_name,
                         "': interrupted while measuring how to use the cores"),
                  "the same command starts again");
    }
    if (!ended) {
      std::this_thread::sleep_for(kPollPause);
      continue;
    }
    diverged = diverged || ended->exit_code == kDivergedExit;
    if (ended->exit_code != 0 && ended->exit_code != kDivergedExit) {
      throw cell_error(concat("to measure '", form_text(form), "'"),
                       place(ended->ticket), ended->exit_code);
    }
  }
  if (diverged) return std::nullopt;
  double speed = 0;
  for (std::size_t run = 0; run < static_cast<std::size_t>(form.jobs); ++run) {
    const double seconds = step_seconds(place(run));
    const auto tokens =
        static_cast<double>(config.batch * config.model.context);
    speed += seconds > 0 ? tokens / seconds : 0;
  }
  return speed;
}

train::RunConfig run_to_measure(const StudyPlan& plan, const ArmPlan& arm,
                                Form form) {
  // Any rates do: no step costs more or less with others.
  train::RunConfig config =
      cell_config(plan, arm, "timing", plan.search_seed, {1e-3, 1e-3});
  config.threads = form.threads;
  config.steps = kSteps;
  return config;
}

}  // namespace

std::vector<FormSpeed> measure_speeds(const StudyPlan& plan,
                                      const std::vector<Form>& forms,
                                      const std::filesystem::path& folder) {
  const Workplace workplace(folder);
  const std::vector<const ArmPlan*> arms = arms_to_measure(plan);
  // best[form][arm], tokens per second.
  std::vector<std::vector<double>> best(forms.size(),
                                        std::vector<double>(arms.size()));
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t arm = 0; arm < arms.size(); ++arm) {
      for (std::size_t form = 0; form < forms.size(); ++form) {
        const auto speed =
            speed_of(plan.name, run_to_measure(plan, *arms[arm], forms[form]),
                     forms[form], folder);
        if (!speed || !(*speed > 0)) return {};
        best[form][arm] = std::max(best[form][arm], *speed);
      }
    }
  }
  std::vector<FormSpeed> speeds;
  for (std::size_t form = 0; form < forms.size(); ++form) {
    double inverse = 0;
    for (const double speed : best[form]) inverse += 1 / speed;
    speeds.push_back({forms[form], static_cast<double>(arms.size()) / inverse});
  }
  return speeds;
}

Parallel settle_here(StudyPlan& plan, const std::filesystem::path& folder,
                     bool execute,
                     const std::function<void(const std::string&)>& say) {
  return settle_parallel(plan, {.file = folder / "parallel.json",
                                .cores = usable_cores(),
                                .machine = train::machine_line(),
                                .execute = execute,
                                .measure =
                                    [&](const std::vector<Form>& forms) {
                                      return measure_speeds(
                                          plan, forms, folder / ".measuring");
                                    },
                                .say = say});
}

}  // namespace muonlab::study
