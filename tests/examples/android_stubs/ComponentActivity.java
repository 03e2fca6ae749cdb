package androidx.activity;

import android.content.ContentResolver;
import android.content.Context;
import android.content.res.AssetManager;
import android.os.Bundle;
import android.view.View;
import androidx.activity.result.ActivityResultCallback;
import androidx.activity.result.ActivityResultLauncher;
import androidx.activity.result.contract.ActivityResultContract;

public class ComponentActivity extends Context {
    @Override
    public AssetManager getAssets() {
        return null;
    }

    @Override
    public ContentResolver getContentResolver() {
        return null;
    }

    public final <I, O> ActivityResultLauncher<I> registerForActivityResult(
            ActivityResultContract<I, O> contract, ActivityResultCallback<O> callback) {
        return null;
    }

    public final void runOnUiThread(Runnable action) {}

    public void setContentView(View view) {}

    protected void onCreate(Bundle savedInstanceState) {}

    protected void onDestroy() {}
}
