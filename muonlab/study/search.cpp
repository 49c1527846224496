#include "muonlab/study/search.h"

#include "muonlab/core/error.h"
#include "muonlab/study/sweep_internal.h"

namespace muonlab::study {

namespace {

class GivenSettings final : public Search {
 public:
  explicit GivenSettings(Trial trial) : trial_(std::move(trial)) {}
  std::vector<Trial> next() override { return {}; }
  void record(const Trial& trial, double, bool) override {
    MUONLAB_CHECK(false, "search: a result for rates ", trial.hidden, ", ",
                  trial.auxiliary, " that were not asked for");
  }
  [[nodiscard]] bool finished() const override { return true; }
  [[nodiscard]] Trial best() const override { return trial_; }
  [[nodiscard]] bool is_extension(const Trial&) const override { return false; }
  [[nodiscard]] bool is_audit(const Trial&) const override { return false; }
  [[nodiscard]] int trials() const override { return 0; }
  [[nodiscard]] std::vector<RateSearch> summary() const override { return {}; }

 private:
  Trial trial_;
};

}  // namespace

std::unique_ptr<Search> given_settings(const Trial& trial) {
  return std::make_unique<GivenSettings>(trial);
}

std::unique_ptr<Search> make_search(const ArmPlan& arm, const SearchPlan& how) {
  if (arm.is_fixed()) {
    const auto keys = detail::keys_of(arm);
    std::vector<double> values;
    for (const detail::Key& key : keys) values.push_back(key.grid.front());
    return given_settings(detail::trial_of(arm, keys, values));
  }
  return how.method == "grid" ? grid_search(arm, how)
                              : coordinate_search(arm, how);
}

}  // namespace muonlab::study
