package com.google.mediapipe.tasks.vision.core;

import android.graphics.RectF;

public abstract class ImageProcessingOptions {
    public static Builder builder() {
        return null;
    }

    public abstract static class Builder {
        public abstract Builder setRegionOfInterest(RectF value);

        public abstract ImageProcessingOptions build();
    }
}
